//! Lists that go on with what changes, and events as they happen: also across a restart of the daemon.

use super::Session;
use super::columns::{Column, text_at};
use super::failed::{Failed, Result};
use super::http::{Events, Http, Next};
use super::target::Target;
use super::terminal::say;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a watcher waits for a daemon that went away.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// Events come in swarms: a list is read again when none has come for so long.
const SWARM: Duration = Duration::from_millis(50);

/// Events from a number on. What it has told it does not tell again, also after a restart.
pub struct Follower {
    host: (String, std::path::PathBuf),
    events: Option<Events>,
    seq: u64,
}

impl Session {
    /// Prints a list, and with `watch` goes on: each item again when it changes, and with the state `gone` when it is.
    pub fn show_all(&mut self, target: &Target, columns: &[Column], name: &str, watch: bool) -> Result<()> {
        if !watch {
            let items = self.all(target)?;
            return self.show_list(&items, columns, name);
        }
        let mut follower = self.follow(None)?;
        self.http.wait_for(BACK_WITHIN);
        let mut known = BTreeMap::new();
        loop {
            let mut changed = Vec::new();
            let mut now = BTreeMap::new();
            for item in self.all(target)? {
                let key = ["id", "digest", "name", "link"].iter().find_map(|k| item[*k].as_str()).unwrap_or_default().to_owned();
                if known.get(&key) != Some(&item) {
                    changed.push(item.clone());
                }
                now.insert(key, item);
            }
            let gone = known.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, item)| {
                let mut item: Value = item.clone();
                item["state"] = json!("gone");
                item
            });
            changed.extend(gone);
            if !changed.is_empty() || !self.goes_on {
                self.show_list(&changed, columns, name)?;
            }
            (known, self.goes_on) = (now, true);
            follower.next()?;
            while follower.next_soon()? {}
        }
    }

    /// Events after number `after`; from now on where none is given.
    pub fn follow(&mut self, after: Option<u64>) -> Result<Follower> {
        let seq = match after {
            Some(seq) => seq,
            None => self.get(&Target::v1(&["health"]))?["last_event"].as_u64().unwrap_or(0),
        };
        Ok(Follower { host: (self.common.host.clone(), self.common.token_file.clone()), events: None, seq })
    }

    /// Prints events as they happen.
    pub fn show_events(&mut self, follower: &mut Follower, columns: &[Column], wanted: impl Fn(&Value) -> bool) -> Result<()> {
        loop {
            if let Some(event) = follower.next()?
                && wanted(&event)
            {
                self.show_list(&[event], columns, "seq")?;
                self.goes_on = true;
            }
        }
    }

    /// Whether more rows follow those that were printed.
    pub fn goes_on(&mut self, goes_on: bool) {
        self.goes_on = goes_on;
    }
}

impl Follower {
    /// The next event; `None` where some were lost, and what is there is to be looked at anew.
    pub fn next(&mut self) -> Result<Option<Value>> {
        loop {
            match self.take(None)? {
                Next::Event(event) => return Ok(Some(event)),
                Next::Resync => return Ok(None),
                Next::Nothing | Next::End => {}
            }
        }
    }

    /// Whether another one comes within a moment.
    fn next_soon(&mut self) -> Result<bool> {
        Ok(matches!(self.take(Some(SWARM))?, Next::Event(_)))
    }

    fn take(&mut self, at_most: Option<Duration>) -> Result<Next> {
        let events = match &mut self.events {
            Some(events) => events,
            None => {
                let (host, token_file) = &self.host;
                self.events.insert(Http::new(host, token_file, BACK_WITHIN)?.events(self.seq)?)
            }
        };
        let next = events.next(at_most);
        match &next {
            Next::Event(event) => {
                self.seq =
                    event["seq"].as_u64().ok_or_else(|| Failed::foreign(&format!("an event without `seq`: {}", text_at(event, "text"))))?;
            }
            Next::Resync | Next::End => {
                if matches!(next, Next::End) {
                    say("bulkhead: the daemon went away; waiting for it");
                }
                self.events = None;
            }
            Next::Nothing => {}
        }
        Ok(next)
    }
}
