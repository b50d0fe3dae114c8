//! What was seen over time, as a table and as a plot.

use std::path::Path;
use std::time::Duration;

use plotters::prelude::{BLUE, ChartBuilder, IntoDrawingArea as _, LineSeries, SVGBackend, WHITE};

use super::process::Sample;

/// What is read of a sample.
type Read = fn(&Sample) -> u64;

/// What is plotted, with its title.
const PANELS: [(&str, Read); 5] = [
    ("resident memory, MiB", |sample| sample.resident / (1024 * 1024)),
    ("file descriptors", |sample| sample.descriptors as u64),
    ("threads", |sample| sample.threads),
    ("requests in components", |sample| sample.requests),
    ("database connections in use", |sample| sample.connections),
];

/// Writes `report.csv` and `report.svg`.
pub fn write(folder: &Path, seen: &[(Duration, u64, Sample)]) {
    std::fs::create_dir_all(folder).expect("a folder");
    table(&folder.join("report.csv"), seen).expect("the table is written");
    plot(&folder.join("report.svg"), seen).expect("the plot is drawn");
}

fn table(file: &Path, seen: &[(Duration, u64, Sample)]) -> csv::Result<()> {
    let mut table = csv::Writer::from_path(file)?;
    table.write_record([
        "seconds",
        "requests_sent",
        "resident_bytes",
        "descriptors",
        "threads",
        "requests_in_components",
        "waiting",
        "connections_in_use",
    ])?;
    for (at, sent, sample) in seen {
        table.write_record([
            format!("{:.2}", at.as_secs_f64()),
            sent.to_string(),
            sample.resident.to_string(),
            sample.descriptors.to_string(),
            sample.threads.to_string(),
            sample.requests.to_string(),
            sample.waiting.to_string(),
            sample.connections.to_string(),
        ])?;
    }
    Ok(table.flush()?)
}

fn plot(file: &Path, seen: &[(Duration, u64, Sample)]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(file, (900, 1100)).into_drawing_area();
    area.fill(&WHITE)?;
    let end = seen.last().map_or(1.0, |(at, ..)| at.as_secs_f64());
    for (panel, (title, read)) in area.split_evenly((PANELS.len(), 1)).iter().zip(PANELS) {
        let points: Vec<_> =
            seen.iter().map(|(at, _, sample)| (at.as_secs_f64(), float(read(sample)))).collect();
        let most = points.iter().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(panel)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart.configure_mesh().x_desc("seconds").y_labels(5).draw()?;
        chart.draw_series(LineSeries::new(points, &BLUE))?;
    }
    area.present()?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures of this size are exact in a float")]
fn float(number: u64) -> f64 {
    number as f64
}
