//! The durable record; the only crate that speaks SQL.
