//! What clients send: the body's fields and the query's parameters, checked one by one.
//!
//! Everything that is wrong with a request is found before it is refused, so that one answer names all of it. What is
//! unknown is refused by name, with the nearest right name: a misspelt field that is quietly ignored is found out too late.

pub(crate) mod body;
pub(crate) mod query;
pub(crate) mod wrong;

pub(crate) use body::{Given, Object};
pub(crate) use query::Query;
pub(crate) use wrong::Wrong;
