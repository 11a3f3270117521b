//! The promises of every engine, held to by this one.

mod ordinary {
    use super::super::harness::Ordinary;
    fanfare_testkit::conformance_suite!(Ordinary);
}

mod tiny_windows {
    use super::super::harness::Tiny;
    fanfare_testkit::conformance_suite!(Tiny);
}
