//! The one table of routes. The listener is built from it, and a test holds
//! `openapi.json` against it.

use actix_web::http::Method;
use actix_web::{HttpRequest, Resource, Route, guard, web};

use super::{admin_routes, jobs, messages, ops_routes, opt_out_routes, problem, sync_routes, webhooks};

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct RouteEntry {
    /// `GET` (which answers `HEAD`, too) or `POST`.
    pub method: &'static str,
    /// The path, parameters in braces.
    pub path: &'static str,
    handler: fn(Route) -> Route,
}

const fn get(path: &'static str, handler: fn(Route) -> Route) -> RouteEntry {
    RouteEntry {
        method: "GET",
        path,
        handler,
    }
}

const fn post(path: &'static str, handler: fn(Route) -> Route) -> RouteEntry {
    RouteEntry {
        method: "POST",
        path,
        handler,
    }
}

/// Every route, in the order of matching: a literal path stands before one with
/// a parameter that would take it.
pub const ROUTES: &[RouteEntry] = &[
    post("/api/webhooks/aloware", |route| route.to(webhooks::aloware::receive)),
    post("/api/integrations/aloware/webhook", |route| {
        route.to(webhooks::aloware::receive)
    }),
    post("/api/webhooks/ghl", |route| route.to(webhooks::ghl::receive)),
    post("/api/webhooks/ghl/provider-delivery", |route| {
        route.to(webhooks::ghl::receive_provider)
    }),
    post("/api/webhooks/ghl/{secret}", |route| {
        route.to(webhooks::ghl::receive_by_secret)
    }),
    post("/api/webhooks/texting", |route| route.to(webhooks::texting::receive)),
    get("/api/webhooks/texting", |route| route.to(webhooks::texting::called)),
    post("/api/webhooks/texting/{secret}", |route| {
        route.to(webhooks::texting::receive_by_secret)
    }),
    get("/api/webhooks/texting/{secret}", |route| {
        route.to(webhooks::texting::called)
    }),
    post("/api/jobs/enqueue-pending", |route| route.to(jobs::enqueue_pending)),
    post("/api/jobs/enqueue-texting-pending", |route| {
        route.to(jobs::enqueue_texting_pending)
    }),
    post("/api/jobs/run-once", |route| route.to(jobs::run_once)),
    get("/api/admin/events", |route| route.to(admin_routes::list_events)),
    post("/api/admin/events/{id}/replay", |route| route.to(admin_routes::replay)),
    post("/api/admin/events/{id}/quarantine", |route| {
        route.to(admin_routes::quarantine)
    }),
    post("/api/admin/events/{id}/release", |route| {
        route.to(admin_routes::release)
    }),
    post("/api/admin/events/{id}/mark-done", |route| {
        route.to(admin_routes::mark_done)
    }),
    get("/api/admin/texting/events", |route| {
        route.to(admin_routes::list_texting)
    }),
    get("/api/admin/connections", |route| route.to(admin_routes::connections)),
    get("/api/admin/reviews", |route| route.to(opt_out_routes::reviews)),
    get("/api/admin/optouts.csv", |route| route.to(opt_out_routes::export)),
    get("/api/admin/optouts/{phone}", |route| route.to(opt_out_routes::show)),
    post("/api/admin/optouts/{phone}/decide", |route| {
        route.to(opt_out_routes::decide)
    }),
    post("/api/admin/optouts/{phone}/block", |route| {
        route.to(opt_out_routes::block)
    }),
    post("/api/admin/optouts/{phone}/lift", |route| {
        route.to(opt_out_routes::lift)
    }),
    post("/api/admin/mappings/repair", |route| route.to(sync_routes::repair)),
    post("/api/sync/contacts", |route| route.to(sync_routes::contact)),
    post("/api/sync/lists", |route| route.to(sync_routes::list)),
    post("/api/messages", |route| route.to(messages::create)),
    get("/api/health", |route| route.to(ops_routes::health)),
    get("/livez", |route| route.to(ops_routes::live)),
    get("/readyz", |route| route.to(ops_routes::ready)),
    get("/metrics", |route| route.to(ops_routes::meters)),
    get("/openapi.json", |route| route.to(ops_routes::openapi)),
];

/// Puts every route in place, and the answers for paths and methods that none
/// of them has. The caller adds `web::Data<State>`.
pub fn configure(app: &mut web::ServiceConfig) {
    for (index, entry) in ROUTES.iter().enumerate() {
        let earlier = ROUTES.iter().take(index);
        if earlier.clone().all(|other| other.path != entry.path) {
            app.service(resource(entry.path));
        }
    }
    app.default_service(web::to(problem::no_route));
}

/// All methods of one path, 405 for the rest.
fn resource(path: &'static str) -> Resource {
    let entries = ROUTES.iter().filter(|entry| entry.path == path);
    let mut allowed = Vec::new();
    let mut resource = web::resource(path);
    for entry in entries {
        let route = if entry.method == "GET" {
            allowed.extend([Method::GET.as_str(), Method::HEAD.as_str()]);
            web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
        } else {
            allowed.push(Method::POST.as_str());
            web::route().guard(guard::Post())
        };
        resource = resource.route((entry.handler)(route));
    }
    let allowed = allowed.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let answer = problem::wrong_method(&request, &allowed);
        async move { answer }
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_and_the_listener_have_the_same_routes() {
        let document: serde_json::Value = serde_json::from_str(ops_routes::OPENAPI).unwrap();
        let mut documented = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| ["get", "post", "put", "delete", "patch"].contains(&key.as_str()))
            {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let registered: BTreeSet<String> = ROUTES
            .iter()
            .map(|entry| format!("{} {}", entry.method, entry.path))
            .collect();
        assert_eq!(documented, registered);
        assert_eq!(registered.len(), ROUTES.len(), "a route stands twice");
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(ops_routes::OPENAPI).unwrap();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::Object(map) => {
                    if let Some(target) = map.get("$ref").and_then(|target| target.as_str()) {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    open.extend(map.values());
                }
                serde_json::Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
