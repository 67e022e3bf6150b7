//! A whole front in this process, spoken to as its master and its clients speak to it.

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plan::FrontPlan;
use proto::control::{FromFront, ToFront, decode, encode};

/// Everything a test waits for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A front and its master.
pub struct Front {
    /// Its own directory; `DIR` in configurations.
    pub directory: PathBuf,
    /// Where it listens; `PORT` in configurations.
    pub port: u16,
    listener: TcpListener,
    control: OwnedFd,
    thread: Option<std::thread::JoinHandle<i32>>,
    generation: u64,
    retired: Vec<u64>,
}

impl Front {
    /// Starts a front on what stands inside `http { }`, with one server's `listen` done.
    pub fn start(servers: &str) -> Front {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("front-test-{}-{number}", std::process::id()));
        fs::create_dir_all(directory.join("html")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (control, theirs) = sys::fdpass::seqpacket_pair().unwrap();
        let thread = std::thread::spawn(move || front::run_process(theirs));
        let thread = Some(thread);
        let mut front = Front {
            directory,
            port,
            listener,
            control,
            thread,
            generation: 0,
            retired: Vec::new(),
        };
        assert_eq!(front.configure(servers), "Ready");
        front
    }

    /// Gives the front a configuration and says what it answered.
    pub fn configure(&mut self, servers: &str) -> &'static str {
        self.generation += 1;
        let plan = self.plan(servers);
        let json = serde_json::to_vec(&plan).unwrap();
        let memory = sys::memory::memory_file("plan", &json).unwrap();
        let open = |path: &PathBuf| fs::File::options().create(true).append(true).open(path);
        let logs: Vec<_> = plan.log_files.iter().map(|path| open(path).unwrap()).collect();
        let mut fds: Vec<BorrowedFd<'_>> = vec![memory.as_fd()];
        fds.extend(plan.listens.iter().map(|_| self.listener.as_fd()));
        fds.extend(logs.iter().map(AsFd::as_fd));
        self.say(&ToFront::Configure { generation: self.generation }, &fds);
        loop {
            match self.hear() {
                FromFront::Ready { generation } if generation == self.generation => return "Ready",
                FromFront::Refused { .. } => return "Refused",
                FromFront::Retired { generation } => self.retired.push(generation),
                _ => {}
            }
        }
    }

    /// Waits until the front says that a configuration is out of use.
    pub fn wait_until_retired(&mut self, wanted: u64) {
        while !self.retired.contains(&wanted) {
            if let FromFront::Retired { generation } = self.hear() {
                self.retired.push(generation);
            }
        }
    }

    /// Tells the front to finish.
    pub fn quit(&self) {
        self.say(&ToFront::Quit, &[]);
    }

    /// Waits for the end of the process and says its exit code.
    pub fn wait(mut self) -> i32 {
        self.thread.take().unwrap().join().unwrap()
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, inbox: Vec::new() }
    }

    /// The answer to one GET on its own connection.
    pub fn get(&self, path: &str) -> Answer {
        let mut client = self.client();
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.answer()
    }

    /// Writes a file below `html`, old enough to be kept in memory.
    pub fn file(&self, name: &str, contents: &[u8]) {
        fs::write(self.directory.join("html").join(name), contents).unwrap();
    }

    fn plan(&self, servers: &str) -> FrontPlan {
        let directory = self.directory.display().to_string();
        let servers = servers
            .replace("LISTEN", &format!("listen 127.0.0.1:{}", self.port))
            .replace("DIR", &directory);
        let text = format!(
            "worker_processes 2; error_log {directory}/error.log info; pid {directory}/pid;\n\
             events {{ }}\nhttp {{ access_log off; root {directory}/html;\n\
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
             uwsgi_temp_path {directory}/uwsgi; {servers} }}\n"
        );
        let conf_file = self.directory.join("nginx.conf");
        fs::write(&conf_file, text).unwrap();
        let options = conf_nginx::LoadOptions {
            conf_file,
            prefix: self.directory.clone(),
            error_log: self.directory.join("error.log"),
            access_log: "off".into(),
            pid_file: self.directory.join("pid"),
            state_directory: self.directory.clone(),
            ..conf_nginx::LoadOptions::default()
        };
        let loaded = conf_nginx::load(&options);
        loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.problems))
    }

    fn say(&self, message: &ToFront, fds: &[BorrowedFd<'_>]) {
        let bytes = encode(message).unwrap();
        sys::fdpass::send_with_fds(self.control.as_fd(), &[IoSlice::new(&bytes)], fds, 0).unwrap();
    }

    fn hear(&self) -> FromFront {
        let mut buffer = vec![0; 64 * 1024];
        let mut fds = Vec::new();
        let bytes =
            sys::fdpass::recv_with_fds(self.control.as_fd(), &mut buffer, &mut fds, 0).unwrap();
        assert!(bytes > 0, "the front ended");
        decode(&buffer[..bytes]).unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.quit();
            // A test that failed already says why.
            let _ = thread.join();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A client's connection.
pub struct Client {
    pub stream: TcpStream,
    inbox: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The body came to its announced end.
    pub whole: bool,
}

impl Answer {
    /// Value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more(), "the connection closed before a whole head");
        };
        let head = String::from_utf8(self.inbox.drain(..end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new(), whole: true };
        if answer.header("transfer-encoding") == "chunked" {
            self.read_chunks(&mut answer);
        } else if let Ok(length) = answer.header("content-length").parse() {
            while self.inbox.len() < length && self.more() {}
            answer.whole = self.inbox.len() >= length;
            answer.body = self.inbox.drain(..length.min(self.inbox.len())).collect();
        } else if !matches!(status, 204 | 304) {
            while self.more() {}
            answer.body = std::mem::take(&mut self.inbox);
        }
        answer
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.inbox.is_empty() && !self.more()
    }

    fn read_chunks(&mut self, answer: &mut Answer) {
        loop {
            let line = loop {
                if let Some(at) = self.inbox.windows(2).position(|window| window == b"\r\n") {
                    break self.inbox.drain(..at + 2).collect::<Vec<u8>>();
                }
                if !self.more() {
                    answer.whole = false;
                    return;
                }
            };
            let text = std::str::from_utf8(&line).unwrap().trim();
            let length = usize::from_str_radix(text, 16).unwrap() + 2;
            while self.inbox.len() < length {
                if !self.more() {
                    answer.whole = false;
                    return;
                }
            }
            let chunk: Vec<u8> = self.inbox.drain(..length).collect();
            if length == 2 {
                return;
            }
            answer.body.extend_from_slice(&chunk[..length - 2]);
        }
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.inbox.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

/// A scripted upstream: each connection is handed to the script on a thread of its own.
pub fn upstream(script: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = std::sync::Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, script) = (stream.unwrap(), script.clone());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            std::thread::spawn(move || script(stream));
        }
    });
    address
}

/// Reads an HTTP head (and nothing behind it that did not come along).
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// A log's text once it has `lines` lines.
pub fn log_lines(path: &Path, lines: usize) -> String {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= lines {
            return text;
        }
        assert!(std::time::Instant::now() < until, "only this came: {text}");
        std::thread::yield_now();
    }
}
