//! What is said on the control socket about who may supervise whom.
//! Above: `protocol` re-exports it, `spy perms` shows it. Below: the settings; what a right means is decided in `call`.

use serde::{Deserialize, Serialize};

use crate::config::{Config, SpyRight};

/// The rights of all users (`spy.perms/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Perms {
    /// Where the settings are from: `server` or `configuration`.
    pub source: String,
    /// Local accounts that have every right, without being users: root and the server's own.
    pub admins: Vec<String>,
    /// One a user, by name.
    pub perms: Vec<UserPerms>,
}

/// The rights of a user, and what others may do to the user's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPerms {
    /// The name.
    pub user: String,
    /// The level that is written: `none`, `listen`, `whisper` or `barge`.
    pub may_spy: String,
    /// The highest mode a session of this user can reach: the level, or `none` where no group may be reached.
    pub ceiling: String,
    /// Groups whose calls the user may supervise; `null`: every group, and calls of no group.
    pub spy_groups: Option<Vec<String>>,
    /// Whether others may hear this user's calls.
    pub may_be_spied: bool,
    /// Groups that the user's calls belong to.
    pub groups: Vec<String>,
    /// Local accounts with these rights.
    pub shell_accounts: Vec<String>,
}

impl Perms {
    /// As the settings have them.
    pub fn of(config: &Config, source: &str, admins: Vec<String>) -> Self {
        let accounts = |user: &str| {
            let all = config.supervision.shell_users.iter();
            all.filter(|(_, of)| *of == user).map(|(account, _)| account.clone()).collect()
        };
        let perms = config.users.iter().map(|(name, user)| {
            let reaches_nobody = user.spy_groups.as_ref().is_some_and(Vec::is_empty);
            let ceiling = if reaches_nobody { SpyRight::None } else { user.may_spy };
            UserPerms {
                user: name.clone(),
                may_spy: user.may_spy.as_str().into(),
                ceiling: ceiling.as_str().into(),
                spy_groups: user.spy_groups.clone(),
                may_be_spied: user.may_be_spied,
                groups: user.groups.clone(),
                shell_accounts: accounts(name),
            }
        });
        Self { source: source.into(), admins, perms: perms.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, User};

    #[test]
    fn who_reaches_no_group_has_a_ceiling_of_none() {
        let mut config = Config::default();
        let user = User::new(Secret::new("long enough".into()), "internal".into());
        let open = User { may_spy: SpyRight::Barge, ..user.clone() };
        let shut = User { may_spy: SpyRight::Barge, spy_groups: Some(Vec::new()), may_be_spied: false, ..user };
        config.users = [("open".to_owned(), open), ("shut".to_owned(), shut)].into();
        config.supervision.shell_users = [("alice".to_owned(), "open".to_owned())].into();
        let perms = Perms::of(&config, "server", vec!["root".into()]).perms;
        assert_eq!((perms[0].ceiling.as_str(), &*perms[0].shell_accounts), ("barge", &["alice".to_owned()][..]));
        assert_eq!(
            (perms[1].may_spy.as_str(), perms[1].ceiling.as_str(), perms[1].may_be_spied),
            ("barge", "none", false)
        );
    }
}
