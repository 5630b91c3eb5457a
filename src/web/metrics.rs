//! `/metrics` in the OpenMetrics text format, for Prometheus.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Web;
use crate::store::{self, callbacks, outbox};

/// What kind of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; its samples are named `NAME_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A metric with all its samples, as read at one moment. Labels and values never name a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Such as `threadline_calls`.
    pub name: &'static str,
    /// What it counts, in a few words.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// Labels and value of each sample.
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Family {
    /// A counter without labels.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Family { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), value as f64)] }
    }

    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Family { name, help, kind: Kind::Gauge, samples: vec![(Vec::new(), value)] }
    }

    /// A counter with a sample for each value of one label.
    pub fn counters(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Self {
        let samples = values.into_iter().map(|(is, value)| (vec![(label, is.to_owned())], value as f64)).collect();
        Family { name, help, kind: Kind::Counter, samples }
    }
}

#[derive(Debug)]
struct Snapshot(Vec<Family>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in &family.samples {
                if labels.is_empty() {
                    sample(&mut metric, family.kind, *value)?;
                } else {
                    sample(&mut metric.encode_family(labels)?, family.kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn sample(
    metric: &mut prometheus_client::encoding::MetricEncoder<'_>,
    kind: Kind,
    value: f64,
) -> Result<(), std::fmt::Error> {
    match kind {
        Kind::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None),
        Kind::Gauge => metric.encode_gauge(&value),
    }
}

/// `families` as text.
pub fn render(families: Vec<Family>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(families)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// `GET /metrics`
pub(super) async fn metrics(State(web): State<Web>) -> Response {
    let mut families = (web.metrics)();
    families.push(web.hooks.family());
    families.extend(store_families(web.store.counters()));
    let stored =
        web.store.read(|conn| Ok((outbox::size(conn)?, outbox::oldest(conn)?, callbacks::booked(conn)?))).await;
    match stored {
        Ok((size, oldest, booked)) => {
            let now = web.clock.now().wall;
            let age = oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
            families.push(Family::gauge("threadline_outbox_messages", "Texts in the outbox", size as f64));
            families.push(Family::gauge(
                "threadline_outbox_oldest_seconds",
                "Age of the oldest text in the outbox",
                age,
            ));
            families.push(Family::gauge(
                "threadline_callbacks_booked",
                "Calls back that are booked and not begun",
                booked as f64,
            ));
        }
        Err(error) => tracing::warn!(%error, "/metrics leaves the outbox and the calls back out"),
    }
    match render(families) {
        Ok(text) => {
            let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, media_type)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn store_families(counters: store::Counters) -> [Family; 2] {
    let writes = [
        ("committed", counters.committed),
        ("failed", counters.failed),
        ("retried", counters.retried),
        ("lost", counters.lost),
    ];
    [
        Family::counters("threadline_store_writes", "Writes to the store by what came of them", "result", writes),
        Family::counter("threadline_store_transactions", "Transactions committed", counters.transactions),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_become_open_metrics() {
        let text = render(vec![
            Family::gauge("threadline_calls_in_progress", "Calls in progress", 2.0),
            Family::counters("threadline_calls", "Calls by outcome", "outcome", [("texted", 3), ("missed", 1)]),
        ])
        .unwrap();
        for line in [
            "# TYPE threadline_calls_in_progress gauge",
            "threadline_calls_in_progress 2.0",
            "# HELP threadline_calls Calls by outcome",
            "# TYPE threadline_calls counter",
            "threadline_calls_total{outcome=\"texted\"} 3.0",
            "threadline_calls_total{outcome=\"missed\"} 1.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
