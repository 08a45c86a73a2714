//! Whether a remote that knows no idempotency keys has a recording already: asked before an attempt is repeated, page by page where the
//! answer is a list. Above: `http`. Below: `web`.

use reqwest::header::LINK;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::answer::{Answer, never, text_of};
use super::http::{Http, own_headers};
use super::sign::sign;
use super::web::{Ask, render_url, same_host};
use super::{DeliveryError, Parcel, Receipt, link_header};
use crate::config::RemoteUrl;

/// Where Zoho says that a list goes on.
const MORE: &str = "/info/more_records";

/// So many pages of an answer are asked for: of 200 entries each, more than one record has.
const MOST_PAGES: usize = 20;

/// The question for one recording.
struct Question<'a> {
    http: &'a Http,
    url: &'a RemoteUrl,
    parcel: &'a Parcel,
    facts: &'a Value,
}

/// The receipt of the recording, if the remote has it; asks only where an attempt was made before.
pub(super) async fn receipt(http: &Http, parcel: &Parcel, facts: &Value) -> Result<Option<Receipt>, DeliveryError> {
    let url = http.request.exists_url.as_ref().filter(|_| parcel.attempt > 1 || parcel.resume.is_some());
    match url {
        Some(url) => Question { http, url, parcel, facts }.ask().await,
        None => Ok(None),
    }
}

impl Question<'_> {
    async fn ask(&self) -> Result<Option<Receipt>, DeliveryError> {
        let mut asked = vec![self.page(&Value::Null, 1)?];
        while let Some(url) = asked.last() {
            let answer = self.one(url.clone()).await?;
            let is_first = asked.len() == 1;
            match answer.status {
                StatusCode::NO_CONTENT => return Ok(answer.receipt()),
                StatusCode::NOT_FOUND if is_first => return Ok(None),
                status if status.is_success() => {}
                _ => return Err(answer.failure()),
            }
            if let Some(receipt) = answer.receipt() {
                return Ok(Some(receipt));
            }
            // An answer that says nothing does not say that it is not there.
            let json = answer.json().ok_or_else(|| answer.unusable("it is no JSON, or not all of it"))?;
            let pointer = self.http.request.exists_id.as_deref();
            let id = match &self.http.request.exists_list {
                Some(list) => self.listed((&answer, &json), list)?,
                None => pointer.and_then(|pointer| answer.pointed(pointer)),
            };
            if let Some(id) = id {
                return Ok(Some(Receipt { id, ..Receipt::default() }));
            }
            match self.next((&answer, &json), url, asked.len())? {
                None => return Ok(None),
                Some(_) if asked.len() >= MOST_PAGES => {
                    return Err(answer.unusable(&format!("it goes on after {MOST_PAGES} pages")));
                }
                Some(next) if asked.contains(&next) => {
                    return Err(answer.unusable("its next page is one that was asked for already"));
                }
                Some(next) => asked.push(next),
            }
        }
        Ok(None)
    }

    async fn one(&self, url: Url) -> Result<Answer, DeliveryError> {
        let mut ask = Ask::new(Method::GET, url);
        ask.header("accept", "application/json")?;
        own_headers(&self.http.request, &mut ask, self.facts)?;
        if let Some(key) = &self.http.signing_key {
            let text = format!("GET {}", self.parcel.key);
            sign(&mut ask, key, &uuid::Uuid::new_v4().to_string(), text.as_bytes())?;
        }
        self.http.web.send(&ask, None).await
    }

    /// The URL of the page with this number, `token` being what the one before said of it.
    fn page(&self, token: &Value, number: usize) -> Result<Url, DeliveryError> {
        let mut facts = self.facts.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("page".to_owned(), json!(number));
            facts.insert("next".to_owned(), token.clone());
        }
        render_url(self.url, &facts)
    }

    /// The page that follows, if the answer says that one does: where `exists_next` points to, or in its `Link` header.
    fn next(&self, (answer, json): (&Answer, &Value), from: &Url, number: usize) -> Result<Option<Url>, DeliveryError> {
        let pointed = self.http.request.exists_next.as_deref().and_then(|pointer| json.pointer(pointer));
        let token = pointed.filter(|token| !matches!(token, Value::Null | Value::Bool(false)));
        let token = token.filter(|token| token.as_str() != Some(""));
        let link = || answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let target = match token {
            Some(token) => {
                let next = self.page(token, number + 1)?;
                if next != self.page(&Value::Null, 1)? {
                    return Ok(Some(next));
                }
                let target = token.as_str().map(str::to_owned);
                Some(target.ok_or_else(|| answer.unusable("it goes on, and exists_url has no {{ page }}"))?)
            }
            None => link().find_map(link_header::next),
        };
        match target {
            Some(target) => {
                let next = from.join(&target).ok().filter(|next| same_host(next, &self.url.origin));
                next.map(Some).ok_or_else(|| answer.unusable("its next page is none of this host"))
            }
            None if json.pointer(MORE) == Some(&Value::Bool(true)) => {
                Err(answer.unusable("the recording may be in the part of the list that is not told"))
            }
            None => Ok(None),
        }
    }

    /// The id of the entry of a list that is this recording.
    fn listed(&self, (answer, json): (&Answer, &Value), list: &str) -> Result<Option<String>, DeliveryError> {
        let mut wanted = Vec::new();
        for (key, template) in &self.http.request.exists_match {
            let value = template.render(self.facts).map_err(|why| never(format!("exists_match: {key}: {why}")))?;
            wanted.push((key, value));
        }
        let entries = json.pointer(list).and_then(Value::as_array);
        let entries = entries.ok_or_else(|| answer.unusable(&format!("{list} leads to no list in it")))?;
        let fits = |entry: &&Value| {
            wanted.iter().all(|(key, value)| entry.get(key).and_then(text_of).is_some_and(|text| text == *value))
        };
        let Some(found) = entries.iter().find(fits) else { return Ok(None) };
        let pointer = self.http.request.exists_id.as_deref().unwrap_or_default();
        match found.pointer(pointer).and_then(text_of) {
            Some(id) => Ok(Some(id)),
            None => Err(answer.unusable("the recording is in it without an id")),
        }
    }
}
