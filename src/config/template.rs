//! Templates in the settings of a remote, over the facts of a recording: for one line, for a URL, for a JSON body.
//! Above: `remotes`, and whoever delivers. Below: minijinja, whose output passes through the form's own escaping.

use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::json;

use super::nearest;

/// What a rendered text is for, hence how a value is written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line, such as a header or a field of a form: a value with a control character in it is refused.
    Line,
    /// Path and query of a URL: everything but letters, digits and `-._~` is percent-encoded (RFC 3986 §2.3).
    Url,
    /// JSON: every value brings its own quotes and escapes.
    Json,
}

/// A text with `{{ … }}` in it, checked when the settings are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    form: Form,
}

impl Template {
    /// Takes a template whose variables are all known and which makes sense of a usual recording.
    ///
    /// # Errors
    /// A sentence that says what is wrong: the syntax, a variable that no recording has (with the nearest that one has), JSON
    /// that would be none.
    pub fn parse(text: &str, form: Form) -> Result<Self, String> {
        Self::parse_over(text, form, sample())
    }

    /// The same for a question whose answer has pages: also `page`, from 1, and `next`, what the page before said of this one.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_paged(text: &str, form: Form) -> Result<Self, String> {
        let mut sample = sample();
        sample["page"] = 1.into();
        sample["next"] = "".into();
        Self::parse_over(text, form, sample)
    }

    fn parse_over(text: &str, form: Form, mut sample: serde_json::Value) -> Result<Self, String> {
        let environment = environment(form);
        let compiled = environment.template_from_str(text).map_err(|error| plain(&error))?;
        let known = || sample.as_object().into_iter().flat_map(|facts| facts.keys().map(String::as_str));
        let mut unknown: Vec<_> = compiled.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| !known().any(|key| key == name) && !environment.globals().any(|(key, _)| key == name));
        unknown.sort();
        if let Some(name) = unknown.first() {
            let hint = nearest(name, known()).map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default();
            return Err(format!("a recording has no `{name}`{hint}"));
        }
        // channel variables have names of people's own
        let nested = compiled.undeclared_variables(true);
        for name in nested.iter().filter_map(|path| path.strip_prefix("variables.")) {
            sample["variables"][name] = "1".into();
        }
        let template = Self { text: text.to_owned(), form };
        let rendered = template.render(&sample)?;
        if form == Form::Json && serde_json::from_str::<serde_json::Value>(&rendered).is_err() {
            return Err("this makes no JSON (a value brings its own quotes: write {\"number\": {{ to }}})".to_owned());
        }
        Ok(template)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text with the values of `facts`, a JSON object, in their places; what is null leaves nothing in a line or a URL.
    ///
    /// # Errors
    /// A sentence that says what is wrong: a name that `facts` lack, a control character where one line is made.
    pub fn render(&self, facts: &serde_json::Value) -> Result<String, String> {
        let rendered = environment(self.form)
            .render_str(&self.text, Value::from(minijinja::value::Serde(facts)))
            .map_err(|error| plain(&error))?;
        if self.form != Form::Json && rendered.chars().any(char::is_control) {
            return Err("a control character would get into it".to_owned());
        }
        Ok(rendered)
    }
}

/// The engine with the escaping of `form`; it reads no files and knows no environment variables.
fn environment(form: Form) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(move |out, _, value| {
        let written = match form {
            Form::Json => match serde_json::to_string(value) {
                Ok(text) => out.write_str(&text),
                Err(error) => {
                    return Err(minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()));
                }
            },
            Form::Line | Form::Url if value.is_none() || value.is_undefined() => Ok(()),
            Form::Line => write!(out, "{value}"),
            Form::Url => write!(out, "{}", percent_encoding::utf8_percent_encode(&value.to_string(), RESERVED)),
        };
        written.map_err(minijinja::Error::from)
    });
    environment
}

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The engine's complaint as one sentence.
fn plain(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if line > 1 => format!("{detail} (line {line} of the template)"),
        _ => detail,
    }
}

/// A usual recording: every name that templates may use, each with a value of its kind.
pub fn sample() -> serde_json::Value {
    json!({
        "id": "5b6f7f0e-6d0b-4a2c-9f6e-0d8f4c1b2a3e",
        "file": "2026-11-21/20261121-090000-out-1001-4178575309.wav",
        "name": "20261121-090000-out-1001-4178575309.wav",
        "call": "c7709e9c-1517-11dc-842a-d3a3942d3d63",
        "uniqueid": "1763715600.1",
        "leg": "c7709e9c-1517-11dc-842a-d3a3942d3d63",
        "from": "1001",
        "from_name": "Alice",
        "to": "4178575309",
        "direction": "out",
        "agent": "1001",
        "trunk": "icall",
        "room": "8000",
        "started": "2026-11-21T09:00:00.000Z",
        "answered": "2026-11-21T09:00:04.000Z",
        "ended": "2026-11-21T09:01:04.000Z",
        "duration_s": 60.0,
        "size": 960_044,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "content_type": "audio/x-wav",
        "link": "https://pbx.example/r/5b6f7f0e?expires=1&signature=x",
        "part": 1,
        "key": "5b6f7f0e-6d0b-4a2c-9f6e-0d8f4c1b2a3e",
        "reason": "always",
        "variables": {},
        "audio": { "format": "pcm16", "rate_hz": 8000, "channels": 2, "frames": 480_000, "duration_s": 60.0 },
        "parties": [{ "side": "left", "number": "1001", "name": "Alice", "user": "1001" }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, form: Form, facts: &serde_json::Value) -> Result<String, String> {
        Template::parse(text, form).unwrap().render(facts)
    }

    fn with(name: &str, value: &str) -> serde_json::Value {
        let mut facts = sample();
        facts[name] = value.into();
        facts
    }

    #[test]
    fn a_hostile_name_stays_inside_its_json_string() {
        let facts = with("from_name", "\"},\"admin\":true,{\"\r\n\u{2028}");
        let body = render(r#"{"who": {{ from_name }}, "n": {{ size }}}"#, Form::Json, &facts).unwrap();
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["who"], facts["from_name"]);
        assert_eq!(read["n"], 960_044);
        assert_eq!(read.as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_line_takes_no_control_character() {
        for bad in ["a\r\nX-Admin: 1", "a\0", "a\u{7f}", "\u{85}"] {
            assert!(render("{{ from_name }}", Form::Line, &with("from_name", bad)).is_err(), "{bad:?}");
        }
        assert_eq!(render("by {{ agent }}", Form::Line, &sample()).unwrap(), "by 1001");
    }

    #[test]
    fn a_value_in_a_url_adds_no_step_and_no_parameter() {
        let url = render("/c/{{ to }}?a={{ from }}", Form::Url, &with("to", "../x?y=1&z#é")).unwrap();
        assert_eq!(url, "/c/..%2Fx%3Fy%3D1%26z%23%C3%A9?a=1001");
    }

    #[test]
    fn what_is_null_leaves_nothing_in_a_line_and_null_in_json() {
        let mut facts = sample();
        facts["agent"] = serde_json::Value::Null;
        assert_eq!(render("[{{ agent }}]", Form::Line, &facts).unwrap(), "[]");
        assert_eq!(render("[{{ agent }}]", Form::Json, &facts).unwrap(), "[null]");
    }

    #[test]
    fn a_channel_variable_may_have_any_name_and_must_be_there_when_it_is_used() {
        let template = Template::parse("/Calls/{{ variables.CRM_RECORD }}/Attachments", Form::Url).unwrap();
        assert!(template.render(&sample()).is_err());
        let mut facts = sample();
        facts["variables"] = json!({ "CRM_RECORD": "../7" });
        assert_eq!(template.render(&facts).unwrap(), "/Calls/..%2F7/Attachments");
        assert!(Template::parse("{{ variables.CRM_RECORD | default('none') }}", Form::Line).is_ok());
    }

    #[test]
    fn a_mistake_is_told_when_the_settings_are_read() {
        let wrong = |text, form| Template::parse(text, form).unwrap_err();
        assert_eq!(wrong("{{ zebra_crossing }}", Form::Line), "a recording has no `zebra_crossing`");
        assert_eq!(wrong("{{ directoin }}", Form::Line), "a recording has no `directoin`, did you mean `direction`?");
        assert!(wrong("{{ to", Form::Line).contains("unexpected"));
        assert!(wrong(r#"{"a": "{{ to }}"}"#, Form::Json).contains("brings its own quotes"));
    }
}
