//! Speaks netlink; the only crate that does.
