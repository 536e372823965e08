//! What stands between keywatch and a node: connections pass through it, until it is shut.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A port of its own in front of a node.
pub(crate) struct Door {
    port: u16,
    passing: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens on a free port.
    pub(crate) async fn open(node: &str) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut door = Door { port: listener.local_addr().unwrap().port(), passing: None };
        door.pass(listener, node);
        door
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts every connection and takes no further one.
    pub(crate) fn shut(&mut self) {
        self.passing.take().iter().for_each(JoinHandle::abort);
    }

    /// Opens again, at the same address.
    pub(crate) async fn open_again(&mut self, node: &str) {
        let listener = loop {
            // The port is free as soon as the task that was aborted has gone.
            match TcpListener::bind(("127.0.0.1", self.port)).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.pass(listener, node);
    }

    fn pass(&mut self, listener: TcpListener, node: &str) {
        let node = node.trim_start_matches("http://").to_owned();
        self.passing = Some(tokio::spawn(async move {
            // Connections end with the task that holds them.
            let mut connections = JoinSet::new();
            while let Ok((mut inner, _)) = listener.accept().await {
                let node = node.clone();
                connections.spawn(async move {
                    let mut outer = TcpStream::connect(node).await?;
                    copy_bidirectional(&mut inner, &mut outer).await
                });
            }
        }));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}
