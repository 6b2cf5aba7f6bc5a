//! The table that `secondo status` prints.

use secondo_wire::Reason;

use crate::control::{Health, Limited, Problem, Summary, ZoneStatus};

/// Its columns.
pub(crate) const HEAD: [&str; 10] =
    ["ZONE", "STATE", "SERIAL", "CONFIRMED", "NEXT", "EXPIRES", "PRIMARY", "FROM", "PROBLEMS", "LAST ERROR"];

/// A zone's row.
pub(crate) fn row(zone: &ZoneStatus) -> [String; 10] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let mut state = zone.state.word().to_string();
    if zone.activity != "waiting" {
        state = format!("{state}, {}", zone.activity);
    }
    if !zone.durable && zone.state == Health::Current {
        state += ", not durable";
    }
    [
        zone.zone.clone(),
        state,
        or_dash(zone.serial.map(|serial| serial.to_string())),
        or_dash(zone.confirmed_ago.map(|ago| format!("{} ago", span(ago)))),
        or_dash(zone.next_in.map(|wait| format!("in {}", span(wait)))),
        or_dash(zone.expires_in.map(|left| format!("in {}", span(left)))),
        or_dash(zone.primary.as_ref().map(|primary| match zone.transport.as_deref() {
            Some("tls") => format!("{primary}, tls"),
            _ => primary.clone(),
        })),
        or_dash(zone.source.clone()),
        or_dash(Some(zone.problems.join(", ")).filter(|problems| !problems.is_empty())),
        or_dash(zone.last_error.as_ref().map(|error| format!("{} ({} ago)", error.reason, span(error.ago)))),
    ]
}

/// The line below it.
pub(crate) fn sum(summary: &Summary) -> String {
    let Summary { zones, current, expired, never_loaded, problems } = *summary;
    let states = [(current, "current"), (expired, "expired"), (never_loaded, "never loaded")];
    let states: Vec<String> =
        states.iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    let need = match problems {
        0 => "; none needs a person".into(),
        1 => "; 1 needs a person".into(),
        more => format!("; {more} need a person"),
    };
    format!("{zones} {}{states}{need}", if zones == 1 { "zone" } else { "zones" })
}

/// What came of the rate limit.
pub(crate) fn limited(limited: &Limited) -> String {
    let Limited { dropped, slipped, last_ago, began_ago } = *limited;
    let Some(last_ago) = last_ago else { return "rate limit: no answer was limited since the start".into() };
    let when = match began_ago {
        Some(began_ago) => format!("it limits some now, and has for {}", span(began_ago)),
        None => format!("the last {} ago", span(last_ago)),
    };
    format!("rate limit: {dropped} answers dropped, {slipped} cut short since the start; {when}")
}

/// What each problem in the table means and what to do, once; empty when there is none.
pub(crate) fn legend(zones: &[ZoneStatus]) -> String {
    let of_zone = |zone: &'_ ZoneStatus| {
        let last = zone.last_error.iter().map(|error| &error.reason);
        zone.problems.iter().chain(last).cloned().collect::<Vec<String>>()
    };
    let mut codes: Vec<String> = zones.iter().flat_map(of_zone).collect();
    codes.sort_unstable();
    codes.dedup();
    let problem = |code: &str| Problem::ALL.iter().find(|problem| problem.code() == code).map(|p| p.help());
    let reason = |code: &str| Reason::ALL.iter().find(|reason| reason.code() == code).map(|r| r.help());
    let known = codes.iter().filter_map(|code| Some((code, problem(code).or_else(|| reason(code))?)));
    let lines: Vec<String> = known.map(|(code, help)| format!("{code}: {help}\n")).collect();
    match lines.is_empty() {
        true => String::new(),
        false => {
            lines.concat()
                + "`secondo explain ZONE` tells what was tried, what comes next, and lines to copy.\n"
        }
    }
}

/// Columns padded to their widest cell, the last one not.
pub(crate) fn render<const N: usize>(head: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(String::from)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out += cells.join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Seconds in the two largest units: `45s`, `2h 5m`, `3d`.
pub(crate) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let parts = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let Some(first) = parts.iter().position(|(n, _)| *n > 0) else { return "0s".into() };
    let shown = parts[first..].iter().take(2).filter(|(n, _)| *n > 0);
    shown.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let texts: Vec<_> = [0.4, 45.0, 7500.0, 259_200.0, 90_061.0].into_iter().map(span).collect();
        assert_eq!(texts, ["0s", "45s", "2h 5m", "3d", "1d 1h"]);
    }

    #[test]
    fn what_came_of_the_rate_limit_is_told_in_a_line() {
        let told = |last_ago: Option<f64>, began_ago| {
            limited(&Limited { dropped: 7, slipped: 6, last_ago, began_ago })
        };
        assert_eq!(told(None, None), "rate limit: no answer was limited since the start");
        let both = "rate limit: 7 answers dropped, 6 cut short since the start";
        assert_eq!(told(Some(3.0), Some(312.0)), format!("{both}; it limits some now, and has for 5m 12s"));
        assert_eq!(told(Some(7500.0), None), format!("{both}; the last 2h 5m ago"));
    }

    #[test]
    fn columns_line_up() {
        let table = render(&["A", "B"], [["long".into(), "x".into()], ["s".into(), "y".into()]].into_iter());
        assert_eq!(table, "A     B\nlong  x\ns     y\n");
    }
}
