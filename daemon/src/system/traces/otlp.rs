//! Traces by OTLP over HTTP, to where the environment says.

use super::http::Client;
use crate::clock::Clock;
use devd_logic::Moment;
use devd_proto::{ProjectName, Run, ServiceName, TestsState};
use opentelemetry::trace::{
    Event, Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// How long the last spans may take on their way out.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Spans of one save. A service that is saved again and again while its tests wait is still at the first one.
const MOST_SPANS: usize = 100;

/// Where traces go; nowhere, unless the environment says so. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends them to where OpenTelemetry's variables say. A thread of the library's does so, for a queue with a bound:
    /// who ends a span waits for nothing, and a span too many is dropped.
    pub fn begin() -> Self {
        let endpoints = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
        // Without one the library would take the port of a collector on this machine.
        if !endpoints.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
            return Self::default();
        }
        let client = Client::new(Handle::current());
        match SpanExporter::builder().with_http().with_http_client(client).build() {
            Ok(exporter) => {
                let provider = SdkTracerProvider::builder().with_resource(resource());
                Self(Some(provider.with_batch_exporter(exporter).build()))
            }
            Err(error) => {
                tracing::warn!(%error, "no traces are sent");
                Self::default()
            }
        }
    }

    /// A save that a project's loop learned of at that moment of its clock.
    pub fn save(&self, project: &ProjectName, service: &ServiceName, clock: Clock, at: Moment) -> Trace {
        let ago = clock.now().saturating_sub(at);
        let record = self.0.as_ref().map(|provider| Record {
            tracer: provider.tracer("devdd"),
            began: at,
            calendar: SystemTime::now() - ago,
            project: project.to_string(),
            service: service.to_string(),
            files: 0,
            path: String::new(),
            decided: false,
            spans: Vec::new(),
        });
        Trace(record.map(|record| Arc::new(Mutex::new(record))))
    }

    /// Sends what is left, if that can be done soon.
    pub async fn close(&self) {
        let Some(provider) = self.0.clone() else { return };
        let closing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_SPANS));
        if let Ok(Err(error)) = closing.await {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Who sends: what the environment says, else `devd`.
fn resource() -> Resource {
    let resource = Resource::builder().build();
    let name = resource.get(&Key::new("service.name"));
    if name.is_some_and(|name| !name.as_str().starts_with("unknown_service")) {
        return resource;
    }
    Resource::builder().with_service_name("devd").build()
}

/// One save on its way. It is sent when nobody is at it any more, if anything came of it.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Arc<Mutex<Record>>>);

impl Trace {
    /// So many files more belong to it, one of them this.
    pub fn files(&self, path: &str, count: usize) {
        self.note(|record| {
            record.files += count;
            if record.path.is_empty() {
                path.clone_into(&mut record.path);
            }
        });
    }

    /// It is known what is done about it. What is decided first counts.
    pub fn decided(&self, at: Moment) {
        self.note(|record| {
            if !std::mem::replace(&mut record.decided, true) {
                record.add("decide", (record.began, at), Vec::new(), Vec::new(), true);
            }
        });
    }

    /// An operation has ended, and whether it did what it was to do.
    pub fn operation(&self, name: &'static str, from: Moment, to: Moment, done: bool) {
        self.note(|record| record.add(name, (from, to), Vec::new(), Vec::new(), done));
    }

    /// A run has ended, whose stages count from `event`.
    pub fn tests(&self, run: &Run, event: Moment) {
        self.note(|record| {
            let at = |us| event + Duration::from_micros(us);
            let stage = |name: &str| run.stages.iter().find(|it| it.name == name);
            let (Some(decided), Some(done)) = (stage("decided"), stage("done")) else { return };
            let between = run
                .stages
                .iter()
                .filter(|stage| !matches!(stage.name.as_str(), "event" | "decided" | "done"));
            let events = between
                .map(|stage| Event::new(stage.name.clone(), record.calendar(at(stage.at_us)), Vec::new(), 0))
                .collect();
            let attributes = vec![
                KeyValue::new("devd.run", run.id.to_string()),
                KeyValue::new("devd.verdict", run.state.as_str()),
            ];
            let passed = run.state == TestsState::Passed;
            record.add("tests", (at(decided.at_us), at(done.at_us)), attributes, events, passed);
        });
    }

    fn note(&self, note: impl FnOnce(&mut Record)) {
        if let Some(record) = &self.0 {
            note(&mut record.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// What a trace is made of when it is sent. Errors stay here: a build's has what the build wrote.
#[derive(Debug)]
struct Record {
    tracer: SdkTracer,
    began: Moment,
    /// The same on the calendar: all else counts from here, so that no span begins before the one around it.
    calendar: SystemTime,
    project: String,
    service: String,
    files: usize,
    /// The first of them.
    path: String,
    decided: bool,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    builder: SpanBuilder,
    end: SystemTime,
    done: bool,
}

impl Record {
    fn calendar(&self, moment: Moment) -> SystemTime {
        self.calendar + moment.saturating_sub(self.began)
    }

    fn add(
        &mut self,
        name: &'static str,
        (from, to): (Moment, Moment),
        attributes: Vec<KeyValue>,
        events: Vec<Event>,
        done: bool,
    ) {
        if self.spans.len() == MOST_SPANS {
            return;
        }
        let builder = SpanBuilder::from_name(name).with_start_time(self.calendar(from));
        let builder = builder.with_attributes(attributes).with_events(events);
        self.spans.push(Span { builder, end: self.calendar(to), done });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(end) = self.spans.iter().map(|span| span.end).max() else { return };
        let root = self.tracer.span_builder("save").with_start_time(self.calendar).with_attributes([
            KeyValue::new("devd.project", std::mem::take(&mut self.project)),
            KeyValue::new("devd.service", std::mem::take(&mut self.service)),
            KeyValue::new("devd.files", i64::try_from(self.files).unwrap_or(i64::MAX)),
            KeyValue::new("devd.path", std::mem::take(&mut self.path)),
        ]);
        let around = Context::new().with_span(root.start_with_context(&self.tracer, &Context::new()));
        for Span { builder, end, done } in self.spans.drain(..) {
            let mut span = builder.start_with_context(&self.tracer, &around);
            if !done {
                span.set_status(Status::error(""));
            }
            span.end_with_timestamp(end);
        }
        around.span().end_with_timestamp(end);
    }
}
