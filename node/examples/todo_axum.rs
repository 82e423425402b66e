//! A todo list in browsers, from any number of servers: run it, open the page that it names, run in a second terminal
//! the command that it prints, and open that page as well. Ctrl-C ends it.
//!
//! Each page follows its own server by server-sent events. Behind one address a browser that loses a server would go on
//! at any other one from the last event's id, and miss nothing.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, Sse, sse::Event};
use axum::routing::{get, post, put};
use futures_core::Stream;
use millpond::records::RecordError;
use millpond::{ChangeEvent, Changes, Collection, InviteOptions, Record, Replica};
use serde::Serialize;

#[derive(Debug, Default, Serialize, Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: String,
    is_done: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut replica = Replica::builder_in_memory();
    if let Some(invite) = std::env::args().nth(1) {
        replica = replica.join(invite.parse()?);
    }
    let db = replica.open().await?;
    db.joined().await?;
    let routes = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/events", get(events))
        .route("/tasks/{id}", put(write_task))
        .route("/tasks/{id}/done", post(finish_task))
        .with_state(db.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    if let Ok(invite) = db.invite(InviteOptions::default()).await {
        println!("cargo run -p millpond --features http --example todo_axum -- {invite}");
    }
    Ok(axum::serve(listener, routes).await?)
}

/// A new title, as the body. Who ticks the task off elsewhere at the same time has not done so in vain.
async fn write_task(
    State(db): State<Replica>,
    Path(id): Path<String>,
    title: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let write = db.write(move |tx| match tx.load::<Task>(id.as_str())? {
        Some(_) => tx.edit::<Task, _>(id, |task| task.title.set(title)),
        None => tx.store(&Task { id, title, is_done: false }),
    });
    write.await.map(|_| StatusCode::NO_CONTENT).map_err(refused)
}

async fn finish_task(
    State(db): State<Replica>,
    Path(id): Path<String>,
) -> Result<StatusCode, (StatusCode, String)> {
    let write = db.write(move |tx| tx.edit::<Task, _>(id, |task| task.is_done.set(true)));
    write.await.map(|_| StatusCode::NO_CONTENT).map_err(refused)
}

fn refused(error: RecordError) -> (StatusCode, String) {
    let status = match error {
        RecordError::Absent { .. } => StatusCode::NOT_FOUND,
        RecordError::Id(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}

async fn events(State(db): State<Replica>, headers: HeaderMap) -> Sse<Events> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let changes = Collection::<Task>::changes(&db);
    Sse::new(Events(match last {
        Some(token) => changes.since(token),
        None => changes,
    }))
}

/// The changes, as events. One that ends is opened again by the browser, with the last id.
struct Events(Changes<Task>);

impl Stream for Events {
    type Item = Result<Event, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|next| {
            // A record that cannot be read is passed over: the page shows the others.
            let Ok(event) = next? else { return Some(Ok(Event::default().comment("unreadable"))) };
            Some(match event {
                ChangeEvent::Change(change) => {
                    Event::default().event("task").json_data(change.after)
                }
                ChangeEvent::Cut(token) => {
                    Ok(Event::default().event("cut").id(token.to_string()).data(""))
                }
                ChangeEvent::Resync => Ok(Event::default().event("again").data("all")),
                _ => Ok(Event::default().comment("slow")), // then it ends
            })
        })
    }
}

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>todo</title>
<form><input placeholder="what is to be done?" autofocus></form><ul></ul>
<script>
  const list = document.querySelector("ul"), input = document.querySelector("input");
  const events = new EventSource("/events");
  events.addEventListener("again", () => list.replaceChildren());
  events.addEventListener("task", (event) => {
    const task = JSON.parse(event.data);
    if (!task) return; // nobody removes tasks here
    const item = document.getElementById(task.id) ?? list.appendChild(document.createElement("li"));
    item.id = task.id;
    item.textContent = (task.is_done ? "\u2713 " : "") + task.title;
    item.onclick = () => fetch(`/tasks/${encodeURIComponent(task.id)}/done`, { method: "POST" });
  });
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    fetch(`/tasks/${crypto.randomUUID()}`, { method: "PUT", body: input.value });
    input.value = "";
  };
</script>"#;
