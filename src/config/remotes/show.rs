//! A remote as `pbx config show` tells it: every key in force, secrets as `***`.

use serde_json::{Map, Value, json};

use super::super::units::{print_duration, print_size};
use super::*;

const HIDDEN: &str = "***";

impl RemoteSettings {
    /// The settings with secrets masked.
    pub(in super::super) fn masked(&self) -> Value {
        let mut shown = json!({
            "kind": self.kind.as_str(),
            "when": self.when.as_str(),
            "parallel": self.parallel,
            "give_up_after": print_duration(self.give_up_after),
        });
        if self.kind == RemoteKind::Folder {
            shown["folder"] = json!({ "path": self.folder });
            return shown;
        }
        shown["connect_timeout"] = print_duration(self.connect_timeout).into();
        shown["idle_timeout"] = print_duration(self.idle_timeout).into();
        shown["timeout"] = print_duration(self.timeout).into();
        shown["allow_addresses"] = self.allow_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().into();
        if let Some(file) = &self.ca_file {
            shown["ca_file"] = json!(file);
        }
        if let Some(s3) = &self.s3 {
            shown["s3"] = json!({
                "bucket": s3.bucket,
                "region": s3.region,
                "endpoint": s3.endpoint.to_string(),
                "access_key_id": s3.access_key_id,
                "secret": HIDDEN,
                "prefix": s3.prefix,
                "path_style": s3.path_style,
                "part_size": print_size(s3.part_size),
            });
            return shown;
        }
        self.show_request(&mut shown);
        self.show_login(&mut shown);
        shown
    }

    fn show_request(&self, shown: &mut Value) {
        let request = &self.request;
        let texts = |templates: &BTreeMap<String, Template>| -> Map<String, Value> {
            templates.iter().map(|(name, template)| (name.clone(), template.as_str().into())).collect()
        };
        if let Some(url) = &request.url {
            shown["url"] = url.to_string().into();
        }
        shown["headers"] = texts(&request.headers).into();
        if self.kind == RemoteKind::Http {
            shown["method"] = request.method.as_str().into();
            shown["fields"] = texts(&request.fields).into();
            shown["recording_part"] = request.recording_part.as_str().into();
            shown["manifest_part"] = request.manifest_part.as_str().into();
        }
        if let Some(name) = &request.recording_name {
            shown["recording_name"] = name.as_str().into();
        }
        if let Some(url) = &request.exists_url {
            shown["exists_url"] = url.to_string().into();
        }
        if let Some(pointer) = &request.exists_id {
            shown["exists_id"] = pointer.as_str().into();
        }
        if let Some(pointer) = &request.exists_list {
            shown["exists_list"] = pointer.as_str().into();
            shown["exists_match"] = texts(&request.exists_match).into();
        }
        if let Some(pointer) = &request.exists_next {
            shown["exists_next"] = pointer.as_str().into();
        }
        if let Some(body) = &request.body {
            shown["body"] = body.as_str().into();
        }
        shown["receipt"] = self.receipt.form.as_str().into();
        if let Some(pointer) = &self.receipt.id_pointer {
            shown["receipt_id"] = pointer.as_str().into();
        }
        if let Some(notice) = &self.notice {
            shown["notice"] = json!({
                "link_base": notice.link_base.as_str(),
                "link_key": HIDDEN,
                "link_expires": print_duration(notice.link_expires),
            });
        }
    }

    fn show_login(&self, shown: &mut Value) {
        if self.signing_key.is_some() {
            shown["signing_key"] = HIDDEN.into();
        }
        if self.receipt.key.is_some() {
            shown["receipt_key"] = HIDDEN.into();
        }
        match &self.login {
            Login::None => {}
            Login::Token { scheme, .. } => {
                shown["token_scheme"] = scheme.as_str().into();
                shown["token"] = HIDDEN.into();
            }
            Login::Basic { user, .. } => {
                shown["basic_user"] = user.as_str().into();
                shown["password"] = HIDDEN.into();
            }
            Login::OAuth2(oauth2) => {
                shown["token_scheme"] = oauth2.scheme.as_str().into();
                shown["oauth2"] = json!({
                    "token_url": oauth2.token_url.to_string(),
                    "client_id": oauth2.client_id,
                    "client_secret": HIDDEN,
                    "scope": oauth2.scope,
                });
            }
        }
    }
}

impl std::fmt::Display for RemoteUrl {
    /// As it was written, templates and all.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin.as_str().trim_end_matches('/'), self.rest.as_str())
    }
}
