//! Which services a process runs.

/// The services of one process. `serve` runs all of them; the others, one each, are for the distributed engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Events in.
    pub(crate) ingest: bool,
    /// Events to deliveries.
    pub(crate) fanout: bool,
    /// Deliveries out.
    pub(crate) delivery: bool,
    /// The management API, the read model, and the first project and its key.
    pub(crate) console: bool,
}

impl Roles {
    const NONE: Roles = Roles { ingest: false, fanout: false, delivery: false, console: false };
    /// Everything in one process.
    pub(crate) const ALL: Roles = Roles { ingest: true, fanout: true, delivery: true, console: true };
    /// Ingest alone.
    pub(crate) const INGEST: Roles = Roles { ingest: true, ..Roles::NONE };
    /// Fan-out alone.
    pub(crate) const FANOUT: Roles = Roles { fanout: true, ..Roles::NONE };
    /// Delivery alone.
    pub(crate) const DELIVERY: Roles = Roles { delivery: true, ..Roles::NONE };
    /// The console alone.
    pub(crate) const CONSOLE: Roles = Roles { console: true, ..Roles::NONE };

    /// Whether it answers requests of API clients, and so needs a listener for them.
    pub(crate) fn has_api(self) -> bool {
        self.ingest || self.console
    }
}
