//! Records under keys, in two groups with revisions of their own.

use std::collections::BTreeMap;

use fanfare_core::ports::config_store::{Change, Changed, Changes, Expected, Group, Key, Record, Revision, Versioned};

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    /// Removed ones too, so that a watch can tell of them.
    records: BTreeMap<Key, (Revision, Option<Record>)>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Records {
    config: Kept,
    state: Kept,
}

impl Records {
    fn group(&self, group: Group) -> &Kept {
        match group {
            Group::Config => &self.config,
            Group::State => &self.state,
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Versioned> {
        let (revision, record) = self.group(key.group()).records.get(key)?;
        record.clone().map(|record| Versioned { revision: *revision, record })
    }

    pub(crate) fn change(&mut self, key: Key, record: Option<Record>, expected: Expected) -> Changed {
        let now = self.get(&key).map(|found| found.revision);
        let group = match key.group() {
            Group::Config => &mut self.config,
            Group::State => &mut self.state,
        };
        let as_expected = match expected {
            Expected::Any => true,
            Expected::Absent => now.is_none(),
            Expected::At(revision) => now == Some(revision),
        };
        if !as_expected {
            return Changed::Conflict;
        }
        if now.is_none() && record.is_none() {
            return Changed::Done(Revision(group.last));
        }
        group.last += 1;
        let revision = Revision(group.last);
        group.records.insert(key, (revision, record));
        Changed::Done(revision)
    }

    pub(crate) fn changes(&self) -> u64 {
        self.config.last + self.state.last
    }

    pub(crate) fn last(&self, group: Group) -> Revision {
        Revision(self.group(group).last)
    }

    /// Everything there is.
    pub(crate) fn whole(&self, group: Group) -> Changes {
        let mut changes = self.since(group, Revision(0));
        changes.changes.retain(|change| change.record.is_some());
        changes
    }

    /// What has changed since, each record as it is now.
    pub(crate) fn since(&self, group: Group, seen: Revision) -> Changes {
        let records = &self.group(group).records;
        let newer = records.iter().filter(|(_, (revision, _))| *revision > seen);
        let change = |(key, (revision, record)): (&Key, &(Revision, Option<Record>))| Change {
            revision: *revision,
            key: key.clone(),
            record: record.clone(),
        };
        let mut changes: Vec<Change> = newer.map(change).collect();
        changes.sort_by_key(|change| change.revision);
        Changes { changes, up_to: self.last(group) }
    }
}
