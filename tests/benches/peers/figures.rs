//! The figures that are taken, and what one run through all phases brought.

use std::collections::{BTreeMap, BTreeSet};

/// A figure; the order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    FirstServed,
    FirstCpu,
    FirstCpuRecord,
    MemorySettled,
    AgainServed,
    AgainCpu,
    MemoryPeak,
    MemoryAfter,
    ChangeServed,
    ChangeCpu,
    DiskSettled,
    DiskPeak,
    QueriesQuiet,
    QueryCpuQuiet,
    QueriesBusy,
    QueryCpuBusy,
    Stop,
    StartStopped,
    StartCrashed,
}

impl Figure {
    /// All of them.
    pub(crate) const ALL: [Self; 19] = [
        Self::FirstServed,
        Self::FirstCpu,
        Self::FirstCpuRecord,
        Self::MemorySettled,
        Self::AgainServed,
        Self::AgainCpu,
        Self::MemoryPeak,
        Self::MemoryAfter,
        Self::ChangeServed,
        Self::ChangeCpu,
        Self::DiskSettled,
        Self::DiskPeak,
        Self::QueriesQuiet,
        Self::QueryCpuQuiet,
        Self::QueriesBusy,
        Self::QueryCpuBusy,
        Self::Stop,
        Self::StartStopped,
        Self::StartCrashed,
    ];

    /// What it is, with its unit; `changes` is the number of records that an IXFR brings.
    pub(crate) fn title(self, changes: u32) -> String {
        match self {
            Self::FirstServed => "first transfer: served after, s",
            Self::FirstCpu => "first transfer: CPU, s",
            Self::FirstCpuRecord => "first transfer: CPU a record, ns",
            Self::MemorySettled => "memory, settled, MiB",
            Self::AgainServed => "another full transfer: served after, s",
            Self::AgainCpu => "another full transfer: CPU, s",
            Self::MemoryPeak => "another full transfer: peak of memory, MiB",
            Self::MemoryAfter => "another full transfer: memory settled after it, MiB",
            Self::ChangeServed => return format!("IXFR of {changes} changes: served after, ms"),
            Self::ChangeCpu => return format!("IXFR of {changes} changes: CPU, ms"),
            Self::DiskSettled => "disk, settled, × the zone's wire size",
            Self::DiskPeak => "disk, peak of another full transfer, × the zone's wire size",
            Self::QueriesQuiet => "queries, at rest, 1,000 a second",
            Self::QueryCpuQuiet => "queries, at rest: CPU each, µs",
            Self::QueriesBusy => "queries, zone changing, 1,000 a second",
            Self::QueryCpuBusy => "queries, zone changing: CPU each, µs",
            Self::Stop => "clean stop, s",
            Self::StartStopped => "start with the primary dead: answering after, s",
            Self::StartCrashed => "the same after SIGKILL, s",
        }
        .to_owned()
    }

    /// Whether a smaller one is better.
    pub(crate) fn small_is_good(self) -> bool {
        !matches!(self, Self::QueriesQuiet | Self::QueriesBusy)
    }
}

/// What one server brought in one round. A figure that was waited for in vain is there as `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// The figures, in their units.
    pub(crate) figures: BTreeMap<Figure, Option<f64>>,
    /// What a reader of the figures must know.
    pub(crate) notes: BTreeSet<String>,
}

impl Sample {
    pub(crate) fn set(&mut self, figure: Figure, value: impl Into<Option<f64>>) {
        self.figures.insert(figure, value.into());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.insert(note.into());
    }
}

/// The middle of some values; of an even number of them the upper one. What was waited for in vain is the largest.
pub(crate) fn median(mut values: Vec<Option<f64>>) -> Option<f64> {
    values.sort_by(|a, b| a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY)));
    values.get(values.len() / 2).copied().flatten()
}
