//! Query parameters, read like fields: all faults at once, and what nobody asked for is refused with the nearest that is known.

use crate::fields::unknown;
use crate::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bulkhead_core::names::shown;
use bulkhead_core::policy::Change;
use bulkhead_core::refusal::Fault;
use std::convert::Infallible;

/// Items of a page where nothing else is asked for.
pub const LIMIT: usize = 100;
/// Most items of a page.
pub const LIMIT_MAX: usize = 500;

/// The parameters of a request, taken one by one.
#[derive(Debug)]
pub struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
    /// Header fields that stand for parameters.
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let (pairs, faults) = match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => (pairs, Vec::new()),
            Err(_) => (Vec::new(), vec![Fault::new("", "the query cannot be read", "name=value pairs joined by &")]),
        };
        // Three names among a handful of fields: cheaper to keep the few than to copy all.
        let mut headers = HeaderMap::new();
        for (name, _) in CHANGE {
            let name = format!("bulkhead-{}", name.replace('_', "-"));
            if let (Some(value), Ok(name)) = (parts.headers.get(&name), axum::http::HeaderName::try_from(&name)) {
                headers.insert(name, value.clone());
            }
        }
        Ok(Self { pairs, known: Vec::new(), faults, headers })
    }
}

/// Why something is asked: parameters, or header fields such as `Bulkhead-Reason`.
const CHANGE: [(&str, usize); 3] = [("reason", 1024), ("ticket", 255), ("approved_by", 255)];

impl Params {
    /// A parameter that may stand several times.
    pub fn many(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let mut taken = Vec::new();
        self.pairs.retain_mut(|(key, value)| {
            let hit = key == name;
            if hit {
                taken.push(std::mem::take(value));
            }
            !hit
        });
        taken
    }

    /// A parameter that may stand once.
    pub fn one(&mut self, name: &'static str) -> Option<String> {
        let mut all = self.many(name);
        if all.len() > 1 {
            self.faults.push(Fault::new(name, format!("stands {} times", all.len()), "once"));
        }
        (!all.is_empty()).then(|| all.swap_remove(0))
    }

    /// A parameter that `read` understands; `right` says what would.
    pub fn parsed<T>(&mut self, name: &'static str, right: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let given = self.one(name)?;
        let value = read(&given);
        if value.is_none() {
            self.faults.push(Fault::new(name, format!("{} does not fit", shown(&given)), right));
        }
        value
    }

    /// One of a few words.
    pub fn choice(&mut self, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let right = format!("one of {}", words.join(", "));
        self.parsed(name, &right, |given| words.iter().find(|w| **w == given).copied())
    }

    /// A switch: `true` or `false`.
    pub fn switch(&mut self, name: &'static str) -> bool {
        self.parsed(name, "true or false", |given| given.parse().ok()).unwrap_or(false)
    }

    /// `limit`.
    pub fn limit(&mut self) -> usize {
        let right = format!("a number from 1 to {LIMIT_MAX}");
        self.parsed("limit", &right, |l| l.parse().ok().filter(|l| (1..=LIMIT_MAX).contains(l))).unwrap_or(LIMIT)
    }

    /// `label=key=value`, any number of times.
    pub fn labels(&mut self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for given in self.many("label") {
            match given.split_once('=') {
                Some((key, value)) if !key.is_empty() => out.push((key.to_owned(), value.to_owned())),
                _ => self.faults.push(Fault::new("label", format!("{} is not a label", shown(&given)), "key=value, such as tier=db")),
            }
        }
        out
    }

    /// Why a change is asked for.
    pub fn change(&mut self) -> Change {
        let [reason, ticket, approved_by] = CHANGE.map(|(name, max)| {
            let header = self.headers.get(format!("bulkhead-{}", name.replace('_', "-"))).cloned();
            let header = match header.map(|h| h.to_str().map(str::to_owned)) {
                Some(Ok(text)) => Some(text),
                Some(Err(_)) => {
                    self.faults.push(Fault::new(name, "the header field is not ASCII", "as a parameter it may be anything"));
                    None
                }
                None => None,
            };
            // The parameter wins, but a header field that does not fit is as wrong as ever.
            let mut taken = None;
            for given in [self.one(name), header].into_iter().flatten() {
                if given.is_empty() || given.chars().count() > max || given.chars().any(char::is_control) {
                    let right = format!("1 to {max} characters, without control characters");
                    self.faults.push(Fault::new(name, format!("{} does not fit", shown(&given)), right));
                } else if taken.is_none() {
                    taken = Some(given);
                }
            }
            taken
        });
        Change { reason, ticket, approved_by }
    }

    /// All that is wrong, what nobody asked for included.
    pub fn finish(mut self) -> Vec<Fault> {
        let mut told: Vec<&str> = Vec::new();
        for (key, _) in &self.pairs {
            if !told.contains(&key.as_str()) {
                told.push(key);
                self.faults.push(unknown(key, "parameter", &self.known));
            }
        }
        self.faults
    }

    /// Fails if anything is wrong.
    pub fn check(self) -> Result<(), Problem> {
        let faults = self.finish();
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}

/// Segments of a path: what does not decode is not there.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(segments)| Self(segments))
            .map_err(|e| Problem::new(Kind::NotFound, format!("the path cannot be read: {}", e.body_text())))
    }
}
