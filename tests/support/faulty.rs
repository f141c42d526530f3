//! A store whose operations fail where a test says. The unit tests use it as well, so its source lies with them.

#![allow(unused_imports, reason = "each test binary uses a part of this")]

pub(crate) use source::{Fault, FaultyStore};

#[path = "../../src/store/faulty.rs"]
mod source;
