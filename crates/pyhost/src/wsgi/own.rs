//! What the requests of one thread use one after the other.

use pyo3::prelude::*;

use super::app::App;
use super::environ::Memory;
use super::exchange::Exchange;

/// What a request thread keeps from one request to the next. The first request makes it.
pub struct Own {
    core: u32,
    idle: Option<Box<Tools>>,
}

/// What a request works with.
pub(super) struct Tools {
    pub memory: Memory,
    pub exchange: Py<Exchange>,
    pub start_response: Py<PyAny>,
}

impl Own {
    /// For the request thread of that number, which its requests see as `uwsgi.core`.
    pub fn new(core: u32) -> Own {
        Own { core, idle: None }
    }

    /// For one request; to be given back.
    ///
    /// # Errors
    /// There is no memory.
    pub(super) fn lend(&mut self, py: Python<'_>, app: &App) -> PyResult<Box<Tools>> {
        if let Some(tools) = self.idle.take() {
            return Ok(tools);
        }
        let base = app.template.bind(py).copy()?;
        base.set_item(pyo3::intern!(py, "uwsgi.core"), self.core)?;
        let (exchange, start_response) = Exchange::make(py)?;
        Ok(Box::new(Tools { memory: Memory::new(base)?, exchange, start_response }))
    }

    /// Takes back what a request used; `is_shared`: the app still refers to its exchange, so that
    /// the next request needs another one.
    pub(super) fn take_back(&mut self, py: Python<'_>, mut tools: Box<Tools>, is_shared: bool) {
        if is_shared {
            tools.exchange.get().discard(py);
            match Exchange::make(py) {
                Ok((exchange, start_response)) => {
                    tools.exchange = exchange;
                    tools.start_response = start_response;
                }
                Err(_) => return,
            }
        }
        self.idle = Some(tools);
    }
}
