//! The bridge without a socket, for the project's own tests: one request from bytes, the
//! response as a Python object. Everything between is the code that serves real requests.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use plan::app::{AppLimits, AppLogPlan, AppPlan, ProcessPlan, PythonPlan, WatchPlan};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::{App, Own, serve, uwsgi_module};
use crate::exchange::{Input, LiveInput, Request, Responder, ResponseParts, SendError, Served};

/// An app loaded from a plan in JSON.
#[pyclass(frozen, module = "propylon")]
pub struct Probe {
    app: App,
    /// What no request is using at the moment.
    idle: Mutex<Vec<Own>>,
}

impl Probe {
    fn of(app: App) -> Probe {
        Probe { app, idle: Mutex::default() }
    }

    fn serve(&self, py: Python<'_>, request: Request<'_>, responder: &mut dyn Responder) -> Served {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = idle().pop().unwrap_or_else(|| Own::new(0));
        let served = serve(py, &self.app, &mut own, request, responder);
        uwsgi_module::forget_log_variables();
        idle().push(own);
        served
    }
}

#[pymethods]
impl Probe {
    /// Loads the apps of a plan that names what differs from the defaults; raises RuntimeError with the text for the log.
    #[new]
    fn new(py: Python<'_>, plan: &str) -> PyResult<Probe> {
        let plan = whole_plan(plan)?;
        uwsgi_module::install(py, &plan, std::process::id())?;
        let app = App::load(py, &plan).map_err(|failure| PyRuntimeError::new_err(failure.text))?;
        Ok(Probe::of(app))
    }

    /// A server without an app.
    #[staticmethod]
    fn absent(py: Python<'_>, plan: &str) -> PyResult<Probe> {
        let plan = whole_plan(plan)?;
        Ok(Probe::of(App::absent(py, &plan)?))
    }

    /// Texts of the apps that could not be loaded beside the others.
    fn failures(&self) -> Vec<String> {
        self.app.failures().iter().map(|failure| failure.text.clone()).collect()
    }

    /// Serves one request. `body`: `None`, bytes, or (with `way` "live") a list of bytes as they
    /// arrive, where `None` is the client's early end. `gone_after`: the client goes after so
    /// many pieces.
    #[pyo3(signature = (vars, body = None, way = "memory", gone_after = usize::MAX))]
    fn request<'py>(
        &self,
        py: Python<'py>,
        vars: &[u8],
        body: Option<Bound<'py, PyAny>>,
        way: &str,
        gone_after: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let input = match (body, way) {
            (None, _) => Input::Empty,
            (Some(body), "live") => Input::Live(Box::new(Pieces(body.extract::<Vec<_>>()?.into()))),
            (Some(body), "file") => spooled(body.extract()?)?,
            (Some(body), _) => Input::Memory(Bytes::from(body.extract::<Vec<u8>>()?)),
        };
        let mut recorder = Recorder { gone_after, ..Recorder::default() };
        let request = Request { vars, input, direct: false };
        let served = self.serve(py, request, &mut recorder);
        recorder.report(py, &served)
    }

    /// Serves the same request many times; answers nanoseconds per request.
    fn time(&self, py: Python<'_>, vars: &[u8], times: u32) -> f64 {
        let start = std::time::Instant::now();
        for _ in 0..times {
            let request = Request { vars, input: Input::Empty, direct: false };
            self.serve(py, request, &mut Nowhere);
        }
        start.elapsed().as_nanos() as f64 / f64::from(times)
    }
}

/// Adds the probe to the extension module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Probe>()
}

/// A plan in JSON that names only what differs from the defaults.
fn whole_plan(changes: &str) -> PyResult<AppPlan> {
    let explain = |error: serde_json::Error| PyValueError::new_err(error.to_string());
    let mut whole = serde_json::json!({
        "python": PythonPlan::default(), "load": [], "callable": null,
        "manage_script_name": false, "need_app": false, "lazy_apps": false, "master": true,
        "sockets": [], "http": [], "processes": 1, "threads": 1,
        "limits": AppLimits::default(), "process": ProcessPlan::default(),
        "log": AppLogPlan::default(), "static_maps": [], "watch": WatchPlan::default(), "options": [],
    });
    let changes: serde_json::Value = serde_json::from_str(changes).map_err(explain)?;
    for (name, value) in changes.as_object().into_iter().flatten() {
        let target = &mut whole[name.as_str()];
        match (target.as_object_mut(), value.as_object()) {
            (Some(known), Some(given)) => known.extend(given.clone()),
            _ => *target = value.clone(),
        }
    }
    serde_json::from_value(whole).map_err(explain)
}

fn spooled(bytes: Vec<u8>) -> PyResult<Input> {
    let path = std::env::temp_dir().join(format!("propylon-probe-{}", std::process::id()));
    let mut file =
        File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(Input::File(file, bytes.len() as u64))
}

/// A body that arrives in pieces; `None` is the client's early end.
struct Pieces(VecDeque<Option<Vec<u8>>>);

/// A piece of input with this text stands for a fault of ours.
const FAULT: &[u8] = b"the probe's fault";

impl LiveInput for Pieces {
    fn read(&mut self, _: Python<'_>, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let Some(first) = self.0.front_mut() else {
            return Ok(0);
        };
        let Some(piece) = first else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client has gone"));
        };
        assert!(piece != FAULT, "on purpose");
        let rest = piece.split_off(bytes_max.min(piece.len()));
        let got = piece.len();
        out.append(piece);
        *piece = rest;
        if piece.is_empty() {
            self.0.pop_front();
        }
        Ok(got)
    }
}

/// A transport that writes down what it is told.
#[derive(Default)]
struct Recorder {
    gone_after: usize,
    pieces: Vec<Vec<u8>>,
    status: Option<u16>,
    reason: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    content_length: Option<u64>,
    add_content_length: bool,
    calls: Vec<&'static str>,
}

impl Recorder {
    fn keep(&mut self, piece: &[u8]) -> Result<(), SendError> {
        assert!(piece != FAULT, "on purpose");
        if self.pieces.len() >= self.gone_after {
            return Err(SendError::Gone);
        }
        if !piece.is_empty() {
            self.pieces.push(piece.to_vec());
        }
        Ok(())
    }

    fn report<'py>(self, py: Python<'py>, served: &Served) -> PyResult<Bound<'py, PyDict>> {
        let pieces = PyList::new(py, self.pieces.iter().map(|piece| PyBytes::new(py, piece)))?;
        let headers = PyList::empty(py);
        for (name, value) in &self.headers {
            headers.append((PyBytes::new(py, name), PyBytes::new(py, value)))?;
        }
        let report = PyDict::new(py);
        report.set_item("pieces", pieces)?;
        report.set_item("headers", headers)?;
        report.set_item("status", self.status)?;
        report.set_item("reason", PyBytes::new(py, &self.reason))?;
        report.set_item("content_length", self.content_length)?;
        report.set_item("add_content_length", self.add_content_length)?;
        report.set_item("calls", self.calls)?;
        report.set_item("raised", served.raised)?;
        report.set_item("served_status", served.status)?;
        report.set_item("header_count", served.header_count)?;
        report.set_item("header_bytes", served.header_bytes)?;
        report.set_item("body_bytes", served.body_bytes)?;
        report.set_item("via_sendfile", served.via_sendfile)?;
        report.set_item("app", served.app)?;
        Ok(report)
    }
}

impl Responder for Recorder {
    fn start(
        &mut self,
        _: Python<'_>,
        parts: &ResponseParts<'_>,
        first: &[u8],
        end: bool,
    ) -> Result<(), SendError> {
        self.calls.push(if end { "start+end" } else { "start" });
        self.status = Some(parts.status);
        self.reason = parts.reason.to_vec();
        self.headers =
            parts.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        self.content_length = parts.content_length;
        self.add_content_length = parts.add_content_length;
        self.keep(first)
    }

    fn body(&mut self, _: Python<'_>, piece: &[u8]) -> Result<(), SendError> {
        self.calls.push("body");
        self.keep(piece)
    }

    fn file(
        &mut self,
        _: Python<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), SendError> {
        self.calls.push("file");
        let mut piece = vec![0; usize::try_from(bytes).map_err(|_| SendError::TooMuch)?];
        let copy = File::from(file.try_clone_to_owned().map_err(|_| SendError::Gone)?);
        copy.read_exact_at(&mut piece, offset).map_err(|_| SendError::Gone)?;
        self.keep(&piece)
    }

    fn end(&mut self, _: Python<'_>) -> Result<(), SendError> {
        self.calls.push("end");
        Ok(())
    }

    fn abort(&mut self, _: Python<'_>, _: u16, _: &str) {
        self.calls.push("abort");
    }
}

/// A transport that takes everything and does nothing.
struct Nowhere;

impl Responder for Nowhere {
    fn start(
        &mut self,
        _: Python<'_>,
        parts: &ResponseParts<'_>,
        first: &[u8],
        _: bool,
    ) -> Result<(), SendError> {
        std::hint::black_box((parts, first));
        Ok(())
    }

    fn body(&mut self, _: Python<'_>, _: &[u8]) -> Result<(), SendError> {
        Ok(())
    }

    fn file(&mut self, _: Python<'_>, _: BorrowedFd<'_>, _: u64, _: u64) -> Result<(), SendError> {
        Ok(())
    }

    fn end(&mut self, _: Python<'_>) -> Result<(), SendError> {
        Ok(())
    }

    fn abort(&mut self, _: Python<'_>, _: u16, _: &str) {}
}
