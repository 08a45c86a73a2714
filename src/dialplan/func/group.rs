//! `GROUP`, `GROUP_COUNT`, `GROUP_FIRST`, `GROUP_LIST`, `GROUP_MATCH_COUNT`: channels that belong together, counted.

use super::{Func, FuncError, channel};
use crate::call::groups::{GroupName, Joined};
use crate::dialplan::piece::Piece;
use crate::dialplan::posix::Regex;
use crate::dialplan::vars::Scope;

#[derive(Clone, Copy)]
pub(super) enum Group {
    /// `GROUP(category)`
    Own,
    /// `GROUP_COUNT(group@category)`
    Count,
    /// `GROUP_FIRST(group@category)`
    First,
    /// `GROUP_LIST()`
    List,
    /// `GROUP_MATCH_COUNT(regex@regex)`
    MatchCount,
}

impl Func for Group {
    fn name(&self) -> &'static str {
        match self {
            Self::Own => "GROUP",
            Self::Count => "GROUP_COUNT",
            Self::First => "GROUP_FIRST",
            Self::List => "GROUP_LIST",
            Self::MatchCount => "GROUP_MATCH_COUNT",
        }
    }

    fn syntax(&self) -> &'static str {
        match self {
            Self::Own => "[category]",
            Self::Count => "[group][@category]",
            Self::First => "group[@category]",
            Self::List => "",
            Self::MatchCount => "groupregex[@categoryregex]",
        }
    }

    fn synopsis(&self) -> &'static str {
        match self {
            Self::Own => {
                "The channel's group of a category, without one the group it joined first; set, it joins the group and leaves \
                 the one it was in. It leaves when its call has ended."
            }
            Self::Count => "How many channels are in a group; without one, in the channel's own.",
            Self::First => {
                "Joins a group and gives 1 to the one channel that found it empty, 0 to all others: of two that come at about \
                 the same time exactly one is the first, which GROUP and GROUP_COUNT one after the other cannot tell."
            }
            Self::List => "The channel's groups, separated by blanks.",
            Self::MatchCount => {
                "How many channels are in groups whose names, and categories, match regular expressions."
            }
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        match self {
            Self::Own => {
                let category = args.value(scope);
                let chan = channel(scope)?;
                let group = chan.exchange().groups.of_category(chan.uuid(), category.trim());
                Ok(group.map(|group| group.group).unwrap_or_default())
            }
            Self::Count => {
                let mut wanted = name(scope, &args);
                let chan = channel(scope)?;
                let groups = &chan.exchange().groups;
                if wanted.group.is_empty() {
                    wanted = groups.of_category(chan.uuid(), &wanted.category).unwrap_or_default();
                }
                Ok(if wanted.group.is_empty() { 0 } else { groups.count(&wanted) }.to_string())
            }
            Self::First => {
                let group = name(scope, &args);
                if group.group.is_empty() {
                    return Err(FuncError::Missing("the group"));
                }
                let chan = channel(scope)?;
                let joined = chan.exchange().groups.join(chan.uuid(), chan.name(), group);
                Ok(u8::from(joined == Joined::First).to_string())
            }
            Self::List => {
                let chan = channel(scope)?;
                let groups = chan.exchange().groups.of(chan.uuid());
                Ok(groups.iter().map(GroupName::text).collect::<Vec<_>>().join(" "))
            }
            Self::MatchCount => {
                let wanted = name(scope, &args);
                if wanted.group.is_empty() {
                    return Err(FuncError::Missing("the regular expression"));
                }
                let regex = |text: &str| Regex::cached(text).map_err(|error| FuncError::Wrong(error.to_string()));
                let group = regex(&wanted.group)?;
                let category = (!wanted.category.is_empty()).then(|| regex(&wanted.category)).transpose()?;
                let fits = |name: &GroupName| {
                    let in_category = |category: &Regex| !name.category.is_empty() && category.is_match(&name.category);
                    group.is_match(&name.group) && category.as_deref().is_none_or(in_category)
                };
                Ok(channel(scope)?.exchange().groups.count_where(fits).to_string())
            }
        }
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let category = args.value(scope).trim().to_owned();
        self.join(scope, GroupName { group: value, category })
    }

    /// Written whole, `GROUP()=group@category` names both.
    fn write_text(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let category = args.value(scope).trim().to_owned();
        let group = if category.is_empty() { GroupName::parse(&value) } else { GroupName { group: value, category } };
        self.join(scope, group)
    }
}

impl Group {
    fn join(self, scope: &mut dyn Scope, group: GroupName) -> Result<(), FuncError> {
        let Self::Own = self else { return Err(FuncError::ReadOnly) };
        let chan = channel(scope)?;
        chan.exchange().groups.join(chan.uuid(), chan.name(), group);
        Ok(())
    }
}

/// `group@category`, parted at the `@` that is written; one in a value from outside is part of the group's name.
fn name(scope: &mut dyn Scope, args: &Piece<'_>) -> GroupName {
    let written = args.written(scope);
    let piece = written.piece();
    let (group, category) = piece.split_once('@').unwrap_or((piece, Piece::default()));
    GroupName { group: group.value(scope).trim().to_owned(), category: category.value(scope).trim().to_owned() }
}
