//! The table of header names: long form, compact form, rsip's variant. Unknown names go to rsip's `Other` under their own name.

use rsip::Header;
use rsip::headers::UntypedHeader;

/// One row per name rsip knows; alphabetical.
macro_rules! names {
    ($($variant:ident $long:literal $pattern:pat,)*) => {
        /// A header name in a form cheap to compare.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Name {
            $(#[allow(missing_docs)] $variant,)*
            /// A name rsip has no variant for.
            Other,
        }

        fn known(lower: &[u8]) -> Name {
            match lower {
                $($pattern => Name::$variant,)*
                _ => Name::Other,
            }
        }

        /// A header made of a name found by [`find`] (and, for unknown ones, its spelling) and a value.
        pub(crate) fn build(name: Name, spelling: &str, value: String) -> Header {
            match name {
                $(Name::$variant => Header::$variant(rsip::headers::$variant::from(value)),)*
                Name::Other => Header::Other(expand(spelling).to_owned(), value),
            }
        }

        /// Long name and value of a header.
        pub(crate) fn name_and_value(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(header) => ($long, header.value()),)*
                Header::Other(name, value) => (name, value),
            }
        }
    };
}

names! {
    Accept "Accept" b"accept",
    AcceptEncoding "Accept-Encoding" b"accept-encoding",
    AcceptLanguage "Accept-Language" b"accept-language",
    AlertInfo "Alert-Info" b"alert-info",
    Allow "Allow" b"allow",
    AuthenticationInfo "Authentication-Info" b"authentication-info",
    Authorization "Authorization" b"authorization",
    CSeq "CSeq" b"cseq",
    CallId "Call-ID" b"call-id" | b"i",
    CallInfo "Call-Info" b"call-info",
    Contact "Contact" b"contact" | b"m",
    ContentDisposition "Content-Disposition" b"content-disposition",
    ContentEncoding "Content-Encoding" b"content-encoding" | b"e",
    ContentLanguage "Content-Language" b"content-language",
    ContentLength "Content-Length" b"content-length" | b"l",
    ContentType "Content-Type" b"content-type" | b"c",
    Date "Date" b"date",
    ErrorInfo "Error-Info" b"error-info",
    Event "Event" b"event" | b"o",
    Expires "Expires" b"expires",
    From "From" b"from" | b"f",
    InReplyTo "In-Reply-To" b"in-reply-to",
    MaxForwards "Max-Forwards" b"max-forwards",
    MimeVersion "MIME-Version" b"mime-version",
    MinExpires "Min-Expires" b"min-expires",
    Organization "Organization" b"organization",
    Priority "Priority" b"priority",
    ProxyAuthenticate "Proxy-Authenticate" b"proxy-authenticate",
    ProxyAuthorization "Proxy-Authorization" b"proxy-authorization",
    ProxyRequire "Proxy-Require" b"proxy-require",
    RecordRoute "Record-Route" b"record-route",
    ReplyTo "Reply-To" b"reply-to",
    Require "Require" b"require",
    RetryAfter "Retry-After" b"retry-after",
    Route "Route" b"route",
    Server "Server" b"server",
    Subject "Subject" b"subject" | b"s",
    SubscriptionState "Subscription-State" b"subscription-state",
    Supported "Supported" b"supported" | b"k",
    Timestamp "Timestamp" b"timestamp",
    To "To" b"to" | b"t",
    Unsupported "Unsupported" b"unsupported",
    UserAgent "User-Agent" b"user-agent",
    Via "Via" b"via" | b"v",
    Warning "Warning" b"warning",
    WwwAuthenticate "WWW-Authenticate" b"www-authenticate",
}

/// The name a spelling stands for, long or compact, in any case.
pub(crate) fn find(spelling: &str) -> Name {
    let mut lower = [0_u8; 20]; // one more than the longest name
    let Some(slot) = lower.get_mut(..spelling.len()) else { return Name::Other };
    slot.copy_from_slice(spelling.as_bytes());
    slot.make_ascii_lowercase();
    known(slot)
}

/// A header of any name.
pub(crate) fn make(name: &str, value: String) -> Header {
    build(find(name), name, value)
}

/// Compact forms of extension headers that rsip has no variant for (RFC 3515, 3892, 3841, 4028, 4474, 6665).
fn expand(spelling: &str) -> &str {
    match spelling.as_bytes() {
        b"a" | b"A" => "Accept-Contact",
        b"b" | b"B" => "Referred-By",
        b"d" | b"D" => "Request-Disposition",
        b"j" | b"J" => "Reject-Contact",
        b"n" | b"N" => "Identity-Info",
        b"r" | b"R" => "Refer-To",
        b"u" | b"U" => "Allow-Events",
        b"x" | b"X" => "Session-Expires",
        b"y" | b"Y" => "Identity",
        _ => spelling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_odd_cases_become_the_long_name() {
        for (spelling, long) in [
            ("v", "Via"),
            ("I", "Call-ID"),
            ("mAx-FoRwArDs", "Max-Forwards"),
            ("x", "Session-Expires"),
            ("X-Own", "X-Own"),
            ("WWW-authenticate", "WWW-Authenticate"),
        ] {
            assert_eq!(name_and_value(&make(spelling, "1".to_owned())), (long, "1"));
        }
    }
}
