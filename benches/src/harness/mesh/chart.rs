//! A chart of lines, as an SVG that reads without colour as well: each look has marks and dashes of its own.

use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::Result;

/// A chart.
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    /// Where the names of the lines stand.
    pub names: SeriesLabelPosition,
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// With the unit.
    pub name: String,
    pub range: (f64, f64),
    /// Where it is marked.
    pub marks: Vec<f64>,
    pub scale: Scale,
}

/// How figures are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// For figures above zero.
    Logarithmic,
}

/// A line.
pub struct Line {
    pub name: String,
    /// Which of the looks it has.
    pub look: usize,
    pub points: Vec<(f64, f64)>,
}

/// What tells a line from others.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: RGBColor,
    /// Pixels of a dash, and of the gap after it.
    dash: (u32, u32),
    /// The corners of its mark, in pixels.
    mark: &'static [(i32, i32)],
}

impl Chart {
    /// Writes the chart.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 19))
            .margin(14)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(BLACK.mix(0.12))
            .light_line_style(TRANSPARENT)
            .x_desc(&self.x.name)
            .y_desc(&self.y.name)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for line in &self.lines {
            let look = LOOKS[line.look % LOOKS.len()];
            let path = dashes(line.points.clone(), look);
            chart.draw_series([path])?.label(&line.name).legend(move |(x, y)| {
                EmptyElement::at((x, y))
                    + dashes(vec![(0, 0), (NAME_LINE, 0)], look)
                    + Polygon::new(shifted(look.mark, NAME_LINE / 2), look.colour)
            });
            // Of a line with very many points a few are marked.
            let each = line.points.len().div_ceil(MARKS_MAX).max(1);
            let marked = line.points.iter().skip(each / 2).step_by(each);
            chart.draw_series(marked.map(|point| {
                EmptyElement::at(*point) + Polygon::new(look.mark.to_vec(), look.colour)
            }))?;
        }
        chart
            .configure_series_labels()
            .position(self.names.clone())
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .legend_area_size(NAME_LINE as u32 + 6)
            .margin(12)
            .draw()?;
        root.present()?;
        Ok(())
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let place = |figure: f64| match self.scale {
            Scale::Linear => figure,
            Scale::Logarithmic => figure.log10(),
        };
        let (from, to) = self.range;
        let share = (place(*value) - place(from)) / (place(to) - place(from));
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        let (from, to) = self.range;
        self.marks.iter().copied().filter(|mark| (from..=to).contains(mark)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.0..self.range.1
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }
}

fn dashes<P: Clone>(points: Vec<P>, look: Look) -> DashedPathElement<std::vec::IntoIter<P>, u32> {
    let (length, gap) = look.dash;
    DashedPathElement::new(points, length, gap, look.colour.stroke_width(2))
}

fn shifted(mark: &[(i32, i32)], right: i32) -> Vec<(i32, i32)> {
    mark.iter().map(|(x, y)| (x + right, *y)).collect()
}

const SIZE: (u32, u32) = (900, 560);
/// Pixels of the piece of line beside a name.
const NAME_LINE: i32 = 44;
/// More marks would hide the line that they are on.
const MARKS_MAX: usize = 14;

const SQUARE: &[(i32, i32)] = &[(-5, -5), (5, -5), (5, 5), (-5, 5)];
const DIAMOND: &[(i32, i32)] = &[(0, -7), (7, 0), (0, 7), (-7, 0)];
const UP: &[(i32, i32)] = &[(0, -7), (6, 5), (-6, 5)];
const DOWN: &[(i32, i32)] = &[(0, 7), (6, -5), (-6, -5)];
const OCTAGON: &[(i32, i32)] =
    &[(-2, -6), (2, -6), (6, -2), (6, 2), (2, 6), (-2, 6), (-6, 2), (-6, -2)];
const STAR: &[(i32, i32)] = &[(0, -8), (2, -2), (8, 0), (2, 2), (0, 8), (-2, 2), (-8, 0), (-2, -2)];
const CROSS: &[(i32, i32)] = &[
    (-2, -7),
    (2, -7),
    (2, -2),
    (7, -2),
    (7, 2),
    (2, 2),
    (2, 7),
    (-2, 7),
    (-2, 2),
    (-7, 2),
    (-7, -2),
    (-2, -2),
];

/// The colours are those that people of every kind of colour vision tell apart (Okabe and Ito).
const LOOKS: [Look; 7] = [
    Look { colour: RGBColor(0, 114, 178), dash: (1_000, 0), mark: OCTAGON },
    Look { colour: RGBColor(230, 159, 0), dash: (3, 4), mark: UP },
    Look { colour: RGBColor(213, 94, 0), dash: (12, 5), mark: SQUARE },
    Look { colour: RGBColor(0, 158, 115), dash: (7, 4), mark: DOWN },
    Look { colour: RGBColor(204, 121, 167), dash: (2, 3), mark: DIAMOND },
    Look { colour: RGBColor(0, 0, 0), dash: (18, 4), mark: CROSS },
    Look { colour: RGBColor(86, 180, 233), dash: (24, 8), mark: STAR },
];
