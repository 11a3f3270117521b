//! A service's routes as one table, from which its router is built: what is served can be listed, by tests and by docs.

use axum::Router;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, on};
use fanfare_core::api_key::Scope;
use http::Method;

use crate::no_query::no_query;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A key of the project with this scope.
    Key(Scope),
    /// The admin key.
    Admin,
    /// A key of the project with this scope, or the admin key, which names the project in `?project=`.
    KeyOrAdmin(Scope),
}

/// What is known of a route without calling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: Method,
    /// The path, its parameters in braces.
    pub path: &'static str,
    /// Who may call it. The handler sees to it; a test over all routes holds that it does.
    pub access: Access,
    /// The names of its query's parameters; others are refused by name.
    pub query: &'static [&'static str],
}

/// A route with its handler, for a state of type `S`.
#[derive(Debug)]
pub struct Route<S> {
    /// What is known of it.
    pub info: RouteInfo,
    handler: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A route without parameters in its query: any that is sent is refused by name.
    ///
    /// # Panics
    /// With a method of one's own making: routes are written down in code, and HTTP's own are all there are.
    pub fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("the method is one of HTTP's own");
        Self { info: RouteInfo { method, path, access, query: &[] }, handler: on(filter, handler) }
    }

    /// The same with parameters in its query. The handler reads them and refuses others, so that all that is wrong with a query
    /// is said at once.
    #[must_use]
    pub fn taking(mut self, query: &'static [&'static str]) -> Self {
        self.info.query = query;
        self
    }

    /// The router of a table of routes.
    pub fn router(routes: Vec<Route<S>>) -> Router<S> {
        routes.into_iter().fold(Router::new(), |router, route| {
            let handler = match route.info.query {
                [] => route.handler.route_layer(middleware::from_fn(no_query)),
                [_, ..] => route.handler,
            };
            router.route(route.info.path, handler)
        })
    }

    /// What is known of a table's routes.
    pub fn infos(routes: &[Route<S>]) -> Vec<RouteInfo> {
        routes.iter().map(|route| route.info.clone()).collect()
    }
}
