//! What variables demand of a call that is originated: encryption, or supervision's limits. One that cannot be met, or that is
//! misspelt, fails the call; it never goes out as if nothing had been asked for (S054).
//! Above: `originate`, and the control socket for its words. `eavesdrop` explains the same names for the manual.

use thiserror::Error;

use crate::{call::variables::Variables, config::nearest};

/// The variables of supervision that there are: others of such a name are misspelt. Those of the call that is heard may have been
/// inherited; those of video change nothing where there is none.
pub const SUPERVISION: &[&str] = &[
    "eavesdrop_announce_id",
    "eavesdrop_announce_macro",
    "eavesdrop_bridge_aleg",
    "eavesdrop_bridge_bleg",
    "eavesdrop_concat_video",
    "eavesdrop_enable_dtmf",
    "eavesdrop_group",
    "eavesdrop_indicate_failed",
    "eavesdrop_indicate_idle",
    "eavesdrop_indicate_new",
    "eavesdrop_max_mode",
    "eavesdrop_order",
    "eavesdrop_reason",
    "eavesdrop_require_group",
    "eavesdrop_show_listener_video",
    "eavesdrop_sides",
    "eavesdrop_video_spy_fmt",
    "eavesdrop_whisper_aleg",
    "eavesdrop_whisper_bleg",
];

/// A demand that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Demand {
    /// Of encryption.
    #[error("{name}={value} asks for an encrypted call, which this server cannot make: nobody is called")]
    Encryption {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
    /// Of something that sounds like security, and is not known.
    #[error("{0} sounds like security and is not known here: nobody is called")]
    Unknown(String),
    /// Of supervision, by a name that there is not.
    #[error("{name} is no variable of supervision, did you mean {hint}? Nobody is called")]
    Misspelt {
        /// As written.
        name: String,
        /// The nearest that there is.
        hint: &'static str,
    },
}

/// Finds what a call with these variables could not be made as they say.
///
/// # Errors
/// The first demand that cannot be met.
pub fn meet(variables: &Variables) -> Result<(), Demand> {
    variables.iter().try_for_each(|(name, variable)| one(name, &variable.value))
}

fn one(name: &str, value: &str) -> Result<(), Demand> {
    let bare = name.trim_start_matches('_').to_ascii_lowercase();
    if ["sip_secure_media", "rtp_secure_media", "rtp_secure_media_inbound", "rtp_secure_media_outbound"]
        .contains(&bare.as_str())
    {
        // Said not to be wanted, or not to be needed.
        let plain = ["false", "no", "off", "0", "forbidden", "optional"];
        let is_plain = plain.contains(&value.trim().to_ascii_lowercase().as_str());
        return if is_plain { Ok(()) } else { Err(Demand::Encryption { name: name.into(), value: value.into() }) };
    }
    if ["secure", "srtp", "tls", "zrtp", "dtls", "encrypt"].iter().any(|word| bare.contains(word)) {
        return Err(Demand::Unknown(name.into()));
    }
    if SUPERVISION.contains(&bare.as_str()) {
        return Ok(());
    }
    match nearest(&bare, SUPERVISION.iter().copied()).filter(|_| bare.contains("drop")) {
        Some(hint) => Err(Demand::Misspelt { name: name.into(), hint }),
        None if bare.starts_with("eavesdrop") => Err(Demand::Unknown(name.into())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s054_what_asks_for_encryption_or_is_misspelt_fails_and_all_else_passes() {
        for (name, value) in
            [("sip_secure_media", "true"), ("_rtp_secure_media", "mandatory:AES"), ("RTP_Secure_Media", "")]
        {
            assert!(matches!(one(name, value), Err(Demand::Encryption { .. })), "{name}");
        }
        for name in ["sip_secure_medai", "my_srtp", "use_tls", "eavesdrop_note_to_somebody"] {
            assert_eq!(one(name, "true"), Err(Demand::Unknown(name.into())));
        }
        for name in ["eavesdrop_requier_group", "evesdrop_require_group", "__eavesdrop_enable_dmtf"] {
            assert!(matches!(one(name, "x"), Err(Demand::Misspelt { .. })), "{name}: {:?}", one(name, "x"));
        }
        for (name, value) in [
            ("sip_secure_media", "false"),
            ("rtp_secure_media", "optional"),
            ("eavesdrop_max_mode", "listen"),
            ("X", "1"),
        ] {
            assert_eq!(one(name, value), Ok(()), "{name}");
        }
    }
}
