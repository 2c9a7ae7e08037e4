//! The routes, a file per noun.

mod changes;
mod connections;
mod connectors;
mod events;
mod health;
mod host;
mod inboxes;
mod login;
mod openapi;
mod records;
mod refusals;
mod sandbox;
mod settings;
mod status;
mod sync_runs;
mod syncs;
mod trials;
mod tunnels;

pub(crate) use health::get_health;
pub use refusals::refusal_hint;
pub(crate) use sandbox::{MadeOrders, OrdersRequest, SandboxPatch, Shop};
pub(crate) use status::{Disk, Intake, Reach, SandboxStatus, Startup, Status, VaultStatus};
pub use trials::Trial;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::management::Shared;

/// All of them. The order is that of the contract.
pub(crate) fn all() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health::get_health))
        .routes(routes!(login::spend_login_code))
        .routes(routes!(login::create_login_code))
        .routes(routes!(openapi::get_openapi))
        .routes(routes!(changes::watch_changes))
        .routes(routes!(status::get_status))
        .routes(routes!(settings::get_settings, settings::update_settings))
        .routes(routes!(host::update_host))
        .routes(routes!(host::open_url))
        .routes(routes!(host::quit))
        .routes(routes!(connectors::list_connectors))
        .routes(routes!(connectors::get_connector, connectors::mark_connector))
        .routes(routes!(connections::list_connections, connections::create_connection))
        .routes(routes!(
            connections::get_connection,
            connections::update_connection,
            connections::delete_connection
        ))
        .routes(routes!(connections::authorize_connection))
        .routes(routes!(connections::complete_authorization))
        .routes(routes!(connections::take_address))
        .routes(routes!(connections::cancel_authorization))
        .routes(routes!(connections::check_connection))
        .routes(routes!(connections::send_test_mail))
        .routes(routes!(connections::list_connection_exchanges))
        .routes(routes!(connections::get_connection_ledger))
        .routes(routes!(trials::try_connection))
        .routes(routes!(inboxes::list_inboxes, inboxes::create_inbox))
        .routes(routes!(inboxes::get_inbox, inboxes::update_inbox, inboxes::delete_inbox))
        .routes(routes!(events::list_events))
        .routes(routes!(events::count_events))
        .routes(routes!(events::list_event_types))
        .routes(routes!(events::get_event_rate))
        .routes(routes!(events::get_event))
        .routes(routes!(events::get_event_body))
        .routes(routes!(events::get_event_request))
        .routes(routes!(refusals::list_refusals))
        .routes(routes!(refusals::count_refusals))
        .routes(routes!(refusals::get_refusal))
        .routes(routes!(syncs::list_syncs, syncs::create_sync))
        .routes(routes!(syncs::get_sync, syncs::update_sync, syncs::delete_sync))
        .routes(routes!(syncs::run_sync))
        .routes(routes!(sync_runs::list_sync_runs))
        .routes(routes!(sync_runs::get_sync_run))
        .routes(routes!(sync_runs::cancel_sync_run))
        .routes(routes!(records::list_records))
        .routes(routes!(records::count_records))
        .routes(routes!(tunnels::list_tunnel_kinds))
        .routes(routes!(tunnels::list_tunnels, tunnels::create_tunnel))
        .routes(routes!(tunnels::get_tunnel, tunnels::delete_tunnel))
        .routes(routes!(tunnels::start_tunnel))
        .routes(routes!(tunnels::stop_tunnel))
        .routes(routes!(tunnels::probe_tunnel))
        .routes(routes!(
            sandbox::get_sandbox,
            sandbox::create_sandbox,
            sandbox::update_sandbox,
            sandbox::delete_sandbox
        ))
        .routes(routes!(sandbox::create_sandbox_orders))
        .routes(routes!(sandbox::expire_sandbox_tokens))
}
