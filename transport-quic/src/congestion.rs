//! Congestion control that lets a close pass.
//!
//! quinn-proto 0.11.19 holds a CONNECTION_CLOSE back while the congestion window is full, and once closed
//! it never frees the window again: whoever closes during a bulk transfer is not heard, and the peer waits
//! for its idle timeout instead of reading the code and reason (quinn issue 2785, fixed after 0.11). So a
//! connection about to close is given a window that is never full. Remove this file with that release.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// Gives each connection of an endpoint its congestion control: quinn's default, until it closes.
#[derive(Debug, Default)]
pub(crate) struct Closable {
    all_closing: Arc<AtomicBool>,
}

impl Closable {
    /// Lets the closes of all connections pass. Call it just before closing the endpoint.
    pub(crate) fn let_all_pass(&self) {
        self.all_closing.store(true, Ordering::Relaxed);
    }
}

impl ControllerFactory for Closable {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(UntilClosing {
            cubic: Arc::new(CubicConfig::default()).build(now, current_mtu),
            closing: Arc::default(),
            all_closing: Arc::clone(&self.all_closing),
        })
    }
}

/// Lets the close of one connection pass. Call it just before closing: data that quinn sends in between
/// is bounded by the lanes' windows.
pub(crate) fn let_close_pass(connection: &Connection) {
    // What quinn hands out is a copy, which shares the flag.
    if let Ok(controller) = connection.congestion_state().into_any().downcast::<UntilClosing>() {
        controller.closing.store(true, Ordering::Relaxed);
    }
}

struct UntilClosing {
    cubic: Box<dyn Controller>,
    closing: Arc<AtomicBool>,
    all_closing: Arc<AtomicBool>,
}

impl Controller for UntilClosing {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.cubic.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.closing.load(Ordering::Relaxed) || self.all_closing.load(Ordering::Relaxed) {
            return NEVER_FULL;
        }
        self.cubic.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            cubic: self.cubic.clone_box(),
            closing: Arc::clone(&self.closing),
            all_closing: Arc::clone(&self.all_closing),
        })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Beyond 2^32 quinn does not pace either.
const NEVER_FULL: u64 = 1 << 40;
