//! Black-box tests of the built binary; see `blackbox.rs`.
