//! The stages of the demo.

use std::io::Cursor;
use std::time::Duration;

use millpond::Invite;
use millpond::status::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::load::Load;
use super::report::Seal;
use super::screen::{MAIN, Screen};
use crate::client::{Client, ClientError};
use crate::failure::{Cause, Failure};
use crate::transfer::{ImportReport, post_lines};

/// Starts the first node, and the others by its invites.
pub(super) async fn start(cluster: &mut Cluster, nodes: usize) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Invited {
        invite: String,
    }
    cluster.add(None).await?;
    for _ in 1..nodes {
        let what = "node-1 gives no invite";
        let invited: Result<Invited, _> =
            cluster.nodes[0].client.post("/api/v1/invites", &json!({})).await;
        let text = invited.map_err(|error| error.at(what))?.invite;
        let invite: Invite =
            text.parse().map_err(|error| Failure::new(what).cause(Cause::Demo).why(error))?;
        cluster.add(Some(&invite)).await?;
    }
    Ok(())
}

/// Waits until each node is linked to each other one.
pub(super) async fn wait_for_mesh(cluster: &mut Cluster) -> Result<(), Failure> {
    let others = cluster.nodes.len() - 1;
    wait_until(cluster, "the nodes did not all find each other", |statuses| {
        statuses.iter().all(|status| {
            status.peers.len() == others && status.peers.iter().all(|peer| peer.link.is_some())
        })
    })
    .await
}

/// Closes all links.
pub(super) async fn cut(cluster: &mut Cluster) -> Result<(), Failure> {
    let _: Vec<Value> = post_all(cluster, "/api/v1/peers/pause").await?;
    wait_until(cluster, "the links did not go down", |statuses| {
        statuses.iter().flat_map(|status| &status.peers).all(|peer| peer.link.is_none())
    })
    .await
}

/// Lets the links come back.
pub(super) async fn heal(cluster: &mut Cluster) -> Result<(), Failure> {
    let _: Vec<Value> = post_all(cluster, "/api/v1/peers/resume").await?;
    Ok(())
}

/// Each node writes all contested records.
pub(super) async fn write_contested(cluster: &mut Cluster, load: &Load) -> Result<(), Failure> {
    let imports: Vec<Import> = cluster
        .nodes
        .iter()
        .map(|it| import(it.client.clone(), load, load.contested_lines(&it.name)))
        .collect();
    for import in imports {
        finish(cluster, import).await?;
    }
    Ok(())
}

/// Each node imports its share; then all of them converge. Answers the statuses and seals of then.
pub(super) async fn converge(
    cluster: &mut Cluster,
    load: &Load,
    screen: &Screen,
    deadline: Instant,
) -> Result<(Vec<Status>, Vec<Seal>), Failure> {
    let nodes = cluster.nodes.iter().enumerate();
    let mut imports: Vec<Import> =
        nodes.map(|(index, it)| import(it.client.clone(), load, load.share(index))).collect();
    let names: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let progress = screen.progress(&names, load.updates());
    loop {
        let statuses = statuses(cluster).await?;
        progress.show(&statuses);
        if imports.iter().all(Import::is_finished) {
            for import in imports.drain(..) {
                finish(cluster, import).await?;
            }
            if have_seen_the_same(&statuses) {
                progress.clear();
                let seals: Vec<Seal> = get_all(cluster, "/api/v1/digest").await?;
                return Ok((self::statuses(cluster).await?, seals));
            }
        }
        if Instant::now() > deadline {
            progress.clear();
            return Err(late(&statuses));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// All nodes' statuses, in their order.
pub(super) async fn statuses(cluster: &mut Cluster) -> Result<Vec<Status>, Failure> {
    get_all(cluster, "/api/v1/status").await
}

fn have_seen_the_same(statuses: &[Status]) -> bool {
    let vv = |status: &Status| {
        let main = status.namespaces.iter().find(|it| it.namespace == MAIN);
        main.map(|main| main.vv.clone())
    };
    statuses.iter().all(|status| vv(status) == vv(&statuses[0]))
}

fn late(statuses: &[Status]) -> Failure {
    let mut why = Vec::new();
    for status in statuses {
        for peer in &status.peers {
            let lacks = match peer.they_lack {
                Some(lag) if lag.ops == 0 => continue,
                Some(lag) => format!("{} writes", lag.ops),
                None => "an unknown number of writes".into(),
            };
            why.push(format!("{} lacks {lacks} of {}", peer.name, status.node.name));
        }
    }
    Failure::new("the nodes did not converge in time").cause(Cause::Demo).why(match &why[..] {
        [] => "the imports were not finished".into(),
        _ => why.join("\n"),
    })
}

async fn wait_until(
    cluster: &mut Cluster,
    what: &str,
    holds: impl Fn(&[Status]) -> bool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + STEP_DEADLINE;
    loop {
        let statuses = statuses(cluster).await?;
        if holds(&statuses) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let verdicts =
                statuses.iter().map(|it| format!("{}: {}", it.node.name, it.verdict.text));
            return Err(Failure::new(what)
                .cause(Cause::Demo)
                .why(verdicts.collect::<Vec<_>>().join("\n")));
        }
        sleep(STEP_INTERVAL).await;
    }
}

/// An import under way.
struct Import(JoinHandle<Result<ImportReport, ClientError>>);

impl Import {
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

fn import(client: Client, load: &Load, lines: Vec<u8>) -> Import {
    let route = format!("/api/v1/import?collection={}&key_field=id", load.collection);
    Import(tokio::spawn(async move { post_lines(&client, &route, Cursor::new(lines)).await }))
}

async fn finish(cluster: &mut Cluster, import: Import) -> Result<(), Failure> {
    let what = "an import failed";
    let report =
        import.0.await.map_err(|error| Failure::new(what).cause(Cause::Demo).why(error))?;
    let report = explained(cluster, what, report).await?;
    let error = report.errors.first().map(|it| format!("{} ({})", it.error, it.code));
    match report.stopped.or(error) {
        None => Ok(()),
        Some(why) => Err(Failure::new(what).cause(Cause::Demo).why(why)),
    }
}

async fn get_all<T: DeserializeOwned + Send + 'static>(
    cluster: &mut Cluster,
    path: &'static str,
) -> Result<Vec<T>, Failure> {
    ask_all(cluster, path, async move |client: Client| client.get(path).await).await
}

async fn post_all<T: DeserializeOwned + Send + 'static>(
    cluster: &mut Cluster,
    path: &'static str,
) -> Result<Vec<T>, Failure> {
    ask_all(cluster, path, async move |client: Client| client.post(path, &json!({})).await).await
}

/// Asks all nodes at once.
async fn ask_all<T, F>(
    cluster: &mut Cluster,
    path: &str,
    ask: impl Fn(Client) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let asked: Vec<_> =
        cluster.nodes.iter().map(|node| tokio::spawn(ask(node.client.clone()))).collect();
    let mut answers = Vec::with_capacity(asked.len());
    for answer in asked {
        let what = format!("a node does not answer {path}");
        let answer =
            answer.await.map_err(|error| Failure::new(&*what).cause(Cause::Demo).why(error))?;
        answers.push(explained(cluster, &what, answer).await?);
    }
    Ok(answers)
}

/// The answer; if there is none because a node died, that is what is said.
async fn explained<T>(
    cluster: &mut Cluster,
    what: &str,
    answer: Result<T, ClientError>,
) -> Result<T, Failure> {
    let error = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let deadline = Instant::now() + DEATH_DEADLINE;
    while Instant::now() < deadline && !matches!(error, ClientError::Refused(_)) {
        cluster.check()?;
        sleep(STEP_INTERVAL).await;
    }
    Err(error.at(what))
}

/// Often enough for the eye, and cheap beside the work.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How often to look whether a short step is done.
const STEP_INTERVAL: Duration = Duration::from_millis(50);

/// How long starting and cutting may take.
const STEP_DEADLINE: Duration = Duration::from_secs(30);

/// A process that broke a connection by dying can be waited for soon after.
const DEATH_DEADLINE: Duration = Duration::from_secs(1);
