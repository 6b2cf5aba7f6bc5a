//! The table: medians of all rounds, and how secondo compares with the best of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::figures::{Figure, Sample, median};
use crate::server::Server;

/// Writes the table in Markdown, with the notes below it.
pub(crate) fn table(samples: &BTreeMap<Server, Vec<Sample>>, changes: u32) -> String {
    let servers: Vec<Server> = samples.keys().copied().collect();
    let compared = servers.contains(&Server::Secondo) && servers.len() > 1;
    let mut text = String::from("| |");
    for server in &servers {
        let _ = write!(text, " {server} |");
    }
    text.push_str(if compared { " secondo : best peer |\n| --- |" } else { "\n| --- |" });
    text.push_str(&" ---: |".repeat(servers.len()));
    text.push_str(if compared { " ---: |\n" } else { "\n" });
    for figure in Figure::ALL {
        let values: Vec<(Server, Option<Option<f64>>)> =
            servers.iter().map(|&server| (server, of(&samples[&server], figure))).collect();
        if values.iter().all(|(_, value)| value.is_none()) {
            continue;
        }
        let _ = write!(text, "| {} |", figure.title(changes));
        for (_, value) in &values {
            let _ = write!(text, " {} |", value.map_or("–".to_owned(), |value| shown(value, "never")));
        }
        if compared {
            let _ = write!(text, " {} |", ratio(figure, &values));
        }
        text.push('\n');
    }
    let notes: BTreeSet<&String> = samples.values().flatten().flat_map(|sample| &sample.notes).collect();
    for note in notes {
        let _ = write!(text, "\n{note}\n");
    }
    text
}

/// One line about a single round.
pub(crate) fn line(sample: &Sample, changes: u32) -> String {
    let figures: Vec<String> = sample
        .figures
        .iter()
        .map(|(figure, value)| format!("{} {}", figure.title(changes), shown(*value, "never")))
        .collect();
    figures.join("; ")
}

/// The median of a figure, if it was taken.
fn of(samples: &[Sample], figure: Figure) -> Option<Option<f64>> {
    let taken: Vec<Option<f64>> =
        samples.iter().filter_map(|sample| sample.figures.get(&figure).copied()).collect();
    (!taken.is_empty()).then(|| median(taken))
}

fn ratio(figure: Figure, values: &[(Server, Option<Option<f64>>)]) -> String {
    let numbers = || values.iter().filter_map(|&(server, value)| Some((server, value??)));
    let own = numbers().find(|(server, _)| *server == Server::Secondo);
    // Nothing at all is not a good figure: what has not been written to disk takes no space there.
    let peers = numbers().filter(|&(server, value)| server != Server::Secondo && value > 0.0);
    let best = if figure.small_is_good() {
        peers.min_by(|(_, a), (_, b)| a.total_cmp(b))
    } else {
        peers.max_by(|(_, a), (_, b)| a.total_cmp(b))
    };
    match (own, best) {
        (Some((_, own)), Some((server, best))) => format!("{} ({server})", shown(Some(own / best), "")),
        _ => "–".to_owned(),
    }
}

/// A number with three digits that count.
pub(crate) fn shown(value: Option<f64>, missing: &str) -> String {
    match value {
        None => missing.to_owned(),
        Some(value) if value >= 99.95 => thousands(value),
        Some(value) if value >= 9.995 => format!("{value:.1}"),
        Some(value) if value >= 0.0995 || value == 0.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// A whole number with its thousands set off.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
