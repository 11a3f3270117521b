//! Tests of the read model as a whole: with a journal and a configuration made by hand, on a manual clock.

mod applying;
mod crash;
mod events;
mod fakes;
mod following;
mod make;
mod non_matches;
mod paging;
mod retention;
mod windows;
