//! FreeSWITCH's `originate` line, read into a request of ours: variables in braces, an endpoint, and what is then to run.
//! Above: `pbx originate --compat`. What has no meaning here is refused, never passed over.

use std::str::Chars;

use thiserror::Error;

use super::protocol::{Application, Originate, Place};

/// Why such a line cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// A brace, bracket or quote has no end.
    #[error("`{0}` is never closed")]
    Unclosed(char),
    /// Nothing to call.
    #[error("whom to call is missing (originate user/1001 &echo)")]
    NoEndpoint,
    /// Nothing to do after the answer.
    #[error("what is to run after the answer is missing (&app(args), 'app:args' inline, or an extension)")]
    NoApplication,
    /// Of a kind that there is not here, or several at once.
    #[error(
        "`{0}` is no endpoint here (user/1001, sofia/default/1001, sofia/gateway/NAME/NUMBER, loopback/600/internal)"
    )]
    Endpoint(String),
    /// The part behind the profile or gateway is empty, as in an example that is often copied.
    #[error("`{0}` names no number")]
    NoNumber(String),
    /// Not `name=value`.
    #[error("`{0}` is no variable (write name=value)")]
    Variable(String),
    /// A variable that would have to do something that is not done here.
    #[error("{0}: {1}")]
    Unsupported(String, &'static str),
    /// Not an application's name.
    #[error("`{0}` is no application")]
    Application(String),
    /// Neither XML nor inline.
    #[error("the dialplan `{0}` is not known here (XML or inline)")]
    Dialplan(String),
    /// Not a number of seconds.
    #[error("`{0}` is no time in seconds")]
    Time(String),
    /// Words behind the last that means anything.
    #[error("`{0}` is one word too many")]
    TooMany(String),
}

/// Reads a whole line; the word `originate`, and `api` or `bgapi` before it, may be left out.
///
/// # Errors
/// Whatever cannot be done as it is written.
pub fn read(line: &str) -> Result<Originate, LineError> {
    let words = words(line)?;
    let mut words = words.iter().map(String::as_str).peekable();
    while words.next_if(|word| ["api", "bgapi", "originate"].contains(word)).is_some() {}
    let mut wanted = Originate::default();
    let dialled = settings(words.next().ok_or(LineError::NoEndpoint)?, &mut wanted)?;
    wanted.endpoint = endpoint(dialled)?;
    let target = words.next().ok_or(LineError::NoApplication)?;
    let mut rest = words.map(|word| Some(word).filter(|word| *word != "undef"));
    let mut next = || rest.next().flatten();
    let dialplan = next();
    match (target.strip_prefix('&'), dialplan) {
        (Some(application), None) => wanted.apps = vec![bracketed(application)?],
        (_, Some(dialplan)) if dialplan.eq_ignore_ascii_case("inline") => wanted.apps = inline(target)?,
        (Some(_), Some(word)) => return Err(LineError::TooMany(word.to_owned())),
        (None, Some(dialplan)) if !dialplan.eq_ignore_ascii_case("xml") => {
            return Err(LineError::Dialplan(dialplan.to_owned()));
        }
        (None, _) => {
            let context = next().unwrap_or("default").to_owned();
            wanted.place = Some(Place { extension: target.to_owned(), context });
        }
    }
    if wanted.place.is_none() {
        // The context means nothing to an application.
        next();
    }
    for told in [&mut wanted.caller_name, &mut wanted.caller_number] {
        if let Some(word) = next() {
            *told = Some(word.to_owned());
        }
    }
    if let Some(time) = next() {
        wanted.timeout_s = Some(seconds(time)?);
    }
    match next() {
        Some(word) => Err(LineError::TooMany(word.to_owned())),
        None => Ok(wanted),
    }
}

/// The words of a line: blanks separate, but not within quotes, braces, brackets or parentheses.
fn words(line: &str) -> Result<Vec<String>, LineError> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), line.trim().chars());
    while let Some(c) = chars.next() {
        match c {
            '\'' if word.is_empty() => word = until(&mut chars, '\'', '\'')?,
            '{' | '[' | '(' => {
                let closing = match c {
                    '{' => '}',
                    '[' => ']',
                    _ => ')',
                };
                word.push(c);
                word.push_str(&until(&mut chars, closing, c)?);
                word.push(closing);
            }
            c if c.is_whitespace() => {
                // Between the braces and the endpoint a blank is allowed.
                if !word.is_empty() && !word.ends_with('}') {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

fn until(chars: &mut Chars<'_>, closing: char, opening: char) -> Result<String, LineError> {
    let (mut inside, mut depth) = (String::new(), 0_u32);
    for c in chars {
        match c {
            c if c == closing && depth == 0 => return Ok(inside),
            c if c == closing => depth -= 1,
            c if c == opening => depth += 1,
            _ => {}
        }
        inside.push(c);
    }
    Err(LineError::Unclosed(opening))
}

/// Takes `{…}` and `[…]` off the front of what is dialled.
fn settings<'t>(mut dialled: &'t str, wanted: &mut Originate) -> Result<&'t str, LineError> {
    loop {
        let Some((opening, closing)) =
            [('{', '}'), ('[', ']')].into_iter().find(|(opening, _)| dialled.starts_with(*opening))
        else {
            return Ok(dialled);
        };
        let (inside, rest) = dialled[1..].split_once(closing).ok_or(LineError::Unclosed(opening))?;
        for pair in pairs(inside) {
            variable(&pair, wanted)?;
        }
        dialled = rest.trim_start();
    }
}

/// `a=1,b='x,y'`; `^^|a=1|b=2` chooses another separator.
fn pairs(inside: &str) -> Vec<String> {
    let mut chosen = inside.strip_prefix("^^").map(str::chars);
    let separator = chosen.as_mut().and_then(Iterator::next).unwrap_or(',');
    let text = chosen.map_or(inside, |rest| rest.as_str());
    let (mut pairs, mut pair, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '\\' if chars.peek() == Some(&separator) => pair.extend(chars.next()),
            c if c == separator && !is_quoted => pairs.push(std::mem::take(&mut pair)),
            c => pair.push(c),
        }
    }
    pairs.push(pair);
    pairs.into_iter().filter(|pair| !pair.trim().is_empty()).collect()
}

/// Does as a variable says that means something to the call itself; every other one is the channel's.
fn variable(pair: &str, wanted: &mut Originate) -> Result<(), LineError> {
    let known = pair.trim().split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    let (name, value) = known.filter(|(name, _)| !name.is_empty()).ok_or_else(|| LineError::Variable(pair.into()))?;
    match name {
        "origination_caller_id_number" => wanted.caller_number = Some(value.to_owned()),
        "origination_caller_id_name" => wanted.caller_name = Some(value.to_owned()),
        "originate_timeout" | "call_timeout" | "leg_timeout" => wanted.timeout_s = Some(seconds(value)?),
        "origination_uuid" => {
            return Err(LineError::Unsupported(name.to_owned(), "the server makes the UUIDs, and prints the new one"));
        }
        _ => wanted.vars.push((name.to_owned(), value.to_owned())),
    }
    Ok(())
}

/// An endpoint in our words.
fn endpoint(dialled: &str) -> Result<String, LineError> {
    let unknown = || LineError::Endpoint(dialled.to_owned());
    let none = || LineError::NoNumber(dialled.to_owned());
    if dialled.is_empty() {
        return Err(LineError::NoEndpoint);
    }
    if dialled.contains([',', '|', '<', '>']) {
        return Err(unknown());
    }
    let given = |text: &str| if text.is_empty() { Err(none()) } else { Ok(text.to_owned()) };
    let (kind, rest) = dialled.split_once('/').ok_or_else(unknown)?;
    match kind.to_ascii_lowercase().as_str() {
        // A user is one of this server's, whatever domain is written.
        "user" => given(rest.split('@').next().unwrap_or_default()).map(|user| format!("SIP/{user}")),
        "sofia" => match rest.split_once('/') {
            Some(("gateway", at)) => {
                let (gateway, number) = at.split_once('/').ok_or_else(none)?;
                Ok(format!("SIP/{}@{}", given(number)?, given(gateway)?))
            }
            Some((_, number)) => {
                let number = number.strip_prefix("sip:").unwrap_or(number);
                // `1001%domain` is a registered user of that domain.
                let number = number.split('%').next().unwrap_or_default();
                given(number).map(|number| format!("SIP/{number}"))
            }
            None => Err(none()),
        },
        "loopback" => match rest.split_once('/') {
            Some((extension, context)) => {
                let context = context.split('/').next().unwrap_or_default();
                Ok(format!("Local/{}@{}", given(extension)?, given(context)?))
            }
            None => given(rest).map(|extension| format!("Local/{extension}@default")),
        },
        "sip" | "pjsip" | "local" => given(rest).map(|_| dialled.to_owned()),
        _ => Err(unknown()),
    }
}

/// `app(args)`, or `app`.
fn bracketed(text: &str) -> Result<Application, LineError> {
    let (name, args) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').ok_or(LineError::Unclosed('('))?),
        None => (text, ""),
    };
    application(name, args)
}

/// `app:args,app:args`; `m:|:app:args|app:args` chooses another separator.
fn inline(text: &str) -> Result<Vec<Application>, LineError> {
    let own = text.strip_prefix("m:").and_then(|rest| {
        let mut chars = rest.chars();
        let separator = chars.next()?;
        Some((separator, chars.as_str().strip_prefix(':')?))
    });
    let (separator, steps) = own.unwrap_or((',', text));
    let apps: Result<Vec<_>, _> = steps
        .split(separator)
        .map(|step| {
            let (name, args) = step.split_once(':').unwrap_or((step, ""));
            application(name, args)
        })
        .collect();
    apps.and_then(|apps| if apps.is_empty() { Err(LineError::NoApplication) } else { Ok(apps) })
}

fn application(name: &str, args: &str) -> Result<Application, LineError> {
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(LineError::Application(name.to_owned()));
    }
    Ok(Application { app: name.to_owned(), args: args.trim().to_owned() })
}

fn seconds(text: &str) -> Result<u64, LineError> {
    text.parse().ok().filter(|time| *time > 0).ok_or_else(|| LineError::Time(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(line: &str) -> Vec<(String, String)> {
        read(line).unwrap_or_else(|error| panic!("{line}: {error}")).apps.into_iter().map(|a| (a.app, a.args)).collect()
    }

    #[test]
    fn s053_s054_s055_s056_the_lines_of_document_000_are_read() {
        let uuid = "52d87034-4173-11de-99ef-f1acc19bfdf1";
        let line = format!("originate {{sip_secure_media=true}}user/1000 &eavesdrop({uuid})");
        let wanted = read(&line).unwrap();
        assert_eq!(wanted.endpoint, "SIP/1000");
        assert_eq!(wanted.vars, [("sip_secure_media".to_owned(), "true".to_owned())]);
        assert_eq!(apps(&line), [("eavesdrop".to_owned(), uuid.to_owned())]);
        let line = format!("originate user/1001 'queue_dtmf:w2@500,eavesdrop:{uuid}' inline");
        let both = [("queue_dtmf".to_owned(), "w2@500".to_owned()), ("eavesdrop".to_owned(), uuid.to_owned())];
        assert_eq!(apps(&line), both);
        assert_eq!(apps(&format!("originate user/1001 'm:|:queue_dtmf:w2@500|eavesdrop:{uuid}' inline")), both);
        assert_eq!(read(&format!("api originate sofia/default/2001 &eavesdrop({uuid})")).unwrap().endpoint, "SIP/2001");
        let lost = read(&format!("api originate sofia/default/ &eavesdrop({uuid})"));
        assert_eq!(lost, Err(LineError::NoNumber("sofia/default/".to_owned())));
    }

    #[test]
    fn endpoints_are_those_of_this_server() {
        for (theirs, ours) in [
            ("user/1001@example.com", "SIP/1001"),
            ("sofia/gateway/icall/4178575309", "SIP/4178575309@icall"),
            ("sofia/internal/1001%example.com", "SIP/1001"),
            ("sofia/external/sip:7070@remote.example:5070", "SIP/7070@remote.example:5070"),
            ("loopback/600/internal", "Local/600@internal"),
            ("loopback/600", "Local/600@default"),
        ] {
            assert_eq!(read(&format!("{theirs} &echo")).map(|wanted| wanted.endpoint).as_deref(), Ok(ours));
        }
        for wrong in ["error/busy", "user/1,user/2", "user/1|user/2", "group/sales", "1001"] {
            assert_eq!(read(&format!("{wrong} &echo")), Err(LineError::Endpoint(wrong.to_owned())));
        }
    }

    #[test]
    fn an_extension_has_its_context_caller_and_time() {
        let wanted = read("originate user/1001 600 XML internal 'Front desk' 200 45").unwrap();
        assert_eq!(wanted.place, Some(Place { extension: "600".into(), context: "internal".into() }));
        assert_eq!((wanted.caller_name.as_deref(), wanted.caller_number.as_deref()), (Some("Front desk"), Some("200")));
        assert_eq!(wanted.timeout_s, Some(45));
        let bare = read("user/1001 600").unwrap();
        assert_eq!(bare.place, Some(Place { extension: "600".into(), context: "default".into() }));
        assert_eq!(read("user/1 600 enum"), Err(LineError::Dialplan("enum".into())));
        assert_eq!(read("user/1 600 XML internal a b 3 x"), Err(LineError::TooMany("x".into())));
        assert_eq!(read("user/1 600 undef undef undef undef x"), Err(LineError::Time("x".into())));
    }

    #[test]
    fn variables_keep_quoted_separators_and_those_of_the_call_act() {
        let wanted =
            read("{a='x,y',origination_caller_id_number=200,originate_timeout=7}[b=1\\,2]user/1 &echo").unwrap();
        let vars = [("a".to_owned(), "x,y".to_owned()), ("b".to_owned(), "1,2".to_owned())];
        assert_eq!((wanted.vars, wanted.caller_number.as_deref()), (vars.to_vec(), Some("200")));
        assert_eq!(wanted.timeout_s, Some(7));
        let tone = read("{^^|eavesdrop_indicate_new=tone_stream://%(600,0,2000)|b=2}user/1 &echo").unwrap();
        assert_eq!(tone.vars[0].1, "tone_stream://%(600,0,2000)");
        assert_eq!(read("{a}user/1 &echo"), Err(LineError::Variable("a".into())));
        assert_eq!(read("{a=1 user/1 &echo"), Err(LineError::Unclosed('{')));
        assert!(matches!(read("{origination_uuid=1}user/1 &echo"), Err(LineError::Unsupported(..))));
        assert_eq!(read("user/1"), Err(LineError::NoApplication));
        assert_eq!(read("originate"), Err(LineError::NoEndpoint));
    }
}
