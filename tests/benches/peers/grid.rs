//! Figures of servers that are measured side by side, round after round, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::table::shown;

/// Rows by columns, a value of each round in each cell.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    columns: Vec<String>,
    rows: Vec<String>,
    cells: BTreeMap<(usize, usize), Vec<f64>>,
}

impl Grid {
    /// Adds a value of the round at hand.
    pub(crate) fn add(&mut self, row: &str, column: &str, value: f64) {
        let row = place(&mut self.rows, row);
        let column = place(&mut self.columns, column);
        self.cells.entry((row, column)).or_default().push(value);
    }

    /// The median of the ratios of one column to another in a row, round by round: what disturbs the machine for longer
    /// than a round disturbs both.
    pub(crate) fn ratio(&self, row: &str, column: &str, to: &str) -> Option<f64> {
        let of = |column: &str| self.cell(row, column);
        let ratios = of(column)?.iter().zip(of(to)?).map(|(a, b)| a / b);
        Some(middle(ratios.collect()))
    }

    /// The medians, in Markdown; behind them, for each pair of columns in `ratios`, how they compare.
    pub(crate) fn table(&self, order: &[String], ratios: &[(String, String)]) -> String {
        let columns: Vec<&String> = order.iter().filter(|name| self.columns.contains(name)).collect();
        let ratios: Vec<&(String, String)> =
            ratios.iter().filter(|(one, other)| columns.contains(&one) && columns.contains(&other)).collect();
        let mut text = String::from("| |");
        for column in &columns {
            let _ = write!(text, " {column} |");
        }
        for (one, other) in &ratios {
            let _ = write!(text, " {one} : {other} |");
        }
        let _ = writeln!(text, "\n| --- |{}", " ---: |".repeat(columns.len() + ratios.len()));
        for row in &self.rows {
            let _ = write!(text, "| {row} |");
            for column in &columns {
                let value = self.cell(row, column).map(|values| middle(values.clone()));
                let _ = write!(text, " {} |", value.map_or("–".to_owned(), |value| shown(Some(value), "")));
            }
            for (one, other) in &ratios {
                let ratio = self.ratio(row, one, other).filter(|ratio| ratio.is_finite());
                let _ = write!(text, " {} |", ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
            }
            text.push('\n');
        }
        text
    }

    fn cell(&self, row: &str, column: &str) -> Option<&Vec<f64>> {
        let row = self.rows.iter().position(|known| known == row)?;
        let column = self.columns.iter().position(|known| known == column)?;
        self.cells.get(&(row, column))
    }
}

fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The middle of some values; of an even number of them the mean of the two.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}
