//! Hands out places in the pool, so that no call finds it full: a full pool would be a reason to deny that no replay finds again.

use std::sync::{Condvar, Mutex, PoisonError};

/// The places.
pub(crate) struct Turns {
    places: Mutex<Places>,
    back: Condvar,
}

struct Places {
    free: u32,
    /// Callers asleep. Waking nobody would still be a system call, a fifth of a judgement.
    waiting: u32,
}

/// A place that is held.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(crate) fn new(free: u32) -> Self {
        Self { places: Mutex::new(Places { free, waiting: 0 }), back: Condvar::new() }
    }

    pub(crate) fn take(&self) -> Turn<'_> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while places.free == 0 {
            places.waiting += 1;
            places = self.back.wait(places).unwrap_or_else(PoisonError::into_inner);
            places.waiting -= 1;
        }
        places.free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.free += 1;
        if places.waiting > 0 {
            self.0.back.notify_one();
        }
    }
}
