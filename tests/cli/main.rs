//! The built program on its command line: nothing here needs a daemon, root or a kernel.

mod policy_new;
mod policy_test;
