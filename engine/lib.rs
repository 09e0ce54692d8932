//! The story of a request: decide, record, apply, settle.
