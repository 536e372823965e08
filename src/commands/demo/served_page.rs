//! The page over the demo: the front door, the API and the web page of `keywatch run` over the demo's pipeline, on a port of this
//! machine alone, with one operator whose token is made for the occasion. Waits until somebody looks, and ends on ctrl-c.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use keywatch_detectors::rule;
use keywatch_store::Inventory;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::environment::Environment;
use super::transcript;
use crate::limits::{ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX, REFRESH_SECONDS, TICK_SECONDS};
use crate::service::authentication::Operators;
use crate::service::declared::Current;
use crate::service::http::api::{self, Api, Known};
use crate::service::http::credentials::refused::Refusing;
use crate::service::http::listener::Door;
use crate::service::http::page::{self, Page};
use crate::service::http::places::Places;
use crate::service::metrics::Metrics;
use crate::service::operators::{Configured, Role};
use crate::service::serve::stop_on_signal;

/// The operator, as records name whoever looks.
const OPERATOR: &str = "you";

/// Bytes of the token.
const TOKEN_BYTES: usize = 16;

/// Between two looks whether somebody has signed in.
const LOOK: Duration = Duration::from_millis(100);

/// The page while it is served.
pub(crate) struct ServedPage {
    url: String,
    token: String,
    metrics: Arc<Metrics>,
    /// Becomes true on ctrl-c.
    stopping: watch::Receiver<bool>,
    door: JoinHandle<()>,
}

impl ServedPage {
    /// Serves the page over a pipeline that is about to run.
    ///
    /// # Errors
    /// There is no randomness, no signal can be listened for, no port is free.
    pub(crate) async fn open(environment: &mut Environment, inventory: Inventory) -> anyhow::Result<ServedPage> {
        let (stop, stopping) = watch::channel(false);
        stop_on_signal(stop)?;
        let (token, metrics) = (token()?, Arc::clone(&environment.metrics));
        environment.pipeline.watch_coverage(Arc::clone(&metrics))?;
        let operator = Configured {
            name: OPERATOR.to_owned(),
            aliases: BTreeSet::new(),
            token_sha256: hex::encode(Sha256::digest(&token)),
            sql_password_file: None,
            roles: BTreeSet::from([Role::Admin]),
            systems: BTreeSet::from(["*".to_owned()]),
        };
        let known = Known {
            rules: api::rules::views(&rule::shipped()?),
            // Nobody sends: the records are read.
            sources: Vec::new(),
            inventory: Current::new(inventory),
            door: Refusing::nobody(),
        };
        let api = Api::new(
            Operators::new(&[operator])?,
            environment.pipeline.executor().clone(),
            Handle::current(),
            environment.log.clone(),
            Arc::clone(&metrics),
            known,
            stopping.clone(),
        );
        let router = api::router(Arc::clone(&api)).merge(page::router(Page::new(api, false)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on 127.0.0.1")?;
        let url = format!("http://{}/page", listener.local_addr()?);
        let places = Places::new(CONNECTIONS_MAX, ADDRESS_CONNECTIONS_MAX, Vec::new());
        let door = Door { listener, places, router, tls: None, metrics: Arc::clone(&metrics) };
        let door = tokio::spawn(door.serve(stopping.clone()));
        Ok(ServedPage { url, token, metrics, stopping, door })
    }

    /// Says where the page is, and waits until somebody has signed in; `false` where ctrl-c comes first.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) async fn somebody_looks(&self) -> anyhow::Result<bool> {
        transcript::heading(&format!("The page: {}", self.url))?;
        transcript::plain(&format!("Sign in with: {}", self.token))?;
        transcript::plain("The story begins once you have signed in, here and there. Ctrl-C ends it.\n")?;
        let answered = self.metrics.api_requests.with_label_values(&["GET", "200"]);
        while answered.get() == 0 {
            if !self.pause(LOOK).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits; `false` where ctrl-c comes meanwhile.
    pub(crate) async fn pause(&self, span: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => false,
            () = sleep(span) => true,
        }
    }

    /// Goes on when the story is over: what is done on the page goes through the rules, until ctrl-c.
    ///
    /// # Errors
    /// A part of the pipeline fails.
    pub(crate) async fn stay(&self, environment: &mut Environment) -> anyhow::Result<()> {
        transcript::plain(&format!("\nThe page stays until Ctrl-C: {}", self.url))?;
        let mut refreshed = Instant::now();
        while self.pause(Duration::from_secs(TICK_SECONDS)).await {
            environment.pipeline.run_to_end().await?;
            if refreshed.elapsed() > Duration::from_secs(REFRESH_SECONDS) {
                environment.pipeline.executor().refresh().await?;
                refreshed = Instant::now();
            }
        }
        Ok(())
    }

    /// Ends once what was asked is answered.
    ///
    /// # Errors
    /// The door broke off.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.door.await.context("the front door broke off; this is a defect of keywatch")
    }
}

fn token() -> anyhow::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("there is no randomness on this machine: {error}"))?;
    Ok(hex::encode(bytes))
}
