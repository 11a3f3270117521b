//! What all handlers share: the console's parts, the caller, a configuration that is fresh enough, new ids.

use std::sync::Arc;

use fanfare_core::api_key::Scope;
use fanfare_core::clock::Clock;
use fanfare_core::egress::EgressPolicy;
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::Group;
use fanfare_history::HistoryError;
use fanfare_http::{Authenticator, Caller, Principal, Problem};
use fanfare_runtime::registry::ServedWebhook;
use fanfare_telemetry::Metrics;
use http::{HeaderMap, StatusCode};
use ulid::Ulid;

use crate::Console;
use crate::audit::Actor;
use crate::input::Query;
use crate::projects;
use crate::webhooks::target::TargetLocks;
use crate::webhooks::test::TestSlots;

/// See the [module](self).
pub(crate) struct Api {
    /// The parts.
    pub(crate) console: Console,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What it counts.
    pub(crate) metrics: Metrics,
    /// Held while a webhook's (project, source, URL) is checked and taken.
    pub(crate) targets: TargetLocks,
    /// Knows who calls.
    authenticator: Authenticator,
    /// The test deliveries under way.
    pub(crate) tests: TestSlots,
}

impl Api {
    /// Ready to answer.
    pub(crate) fn new(console: Console, clock: Arc<dyn Clock>, metrics: Metrics) -> Arc<Self> {
        let tests = TestSlots::new(console.config.max_tests_per_project);
        let (registry, store) = (Arc::clone(&console.registry), Arc::clone(&console.store));
        let authenticator = Authenticator::new(registry, store, Arc::clone(&clock));
        let authenticator = authenticator.with_admin_key(console.operator.admin_key.clone());
        Arc::new(Self { console, clock, metrics, targets: TargetLocks::new(), authenticator, tests })
    }

    /// Who calls, if the key has the scope. A key that was made a moment ago, in another process, is known too.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 without the scope, 503 when the store does not answer.
    pub(crate) async fn caller(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        self.authenticator.authenticate(headers, scope).await
    }

    /// Requires the admin key.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 with a project's, 503 when the store does not answer.
    pub(crate) async fn admin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.authenticator.authenticate_admin(headers).await
    }

    /// Who manages API keys, and of which project: a key's own, which `?project=` may repeat; with the admin key the one that
    /// `?project=` names. The configuration is fresh afterwards, and the rest of the query as it has to be.
    ///
    /// # Errors
    /// 400 with every wrong parameter, 401, 403, 404 for a project that is not there or another one than the key's, 503.
    pub(crate) async fn key_manager(
        &self,
        headers: &HeaderMap,
        mut query: Query,
    ) -> Result<(Actor, ProjectId), Problem> {
        let principal = self.authenticator.principal(headers, Scope::Manage).await?;
        let parse = |text: &str| ProjectId::new(text).map_err(|_| format!("must be {}", ProjectId::ALLOWED));
        let asked = query.one("project", parse);
        query.refuse()?;
        self.fresh(Group::Config).await?;
        match (principal, asked) {
            (Principal::Key(caller), asked) => {
                let project = caller.project().clone();
                let own = asked.is_none_or(|asked| asked == project);
                own.then_some((Actor::Key(caller.key.id), project)).ok_or_else(projects::stored::no_project)
            }
            (Principal::Admin, Some(project)) => {
                projects::stored::exists(self, &project)?;
                Ok((Actor::Admin, project))
            }
            (Principal::Admin, None) => Err(Problem::invalid("project", "is required with the admin key")),
        }
    }

    /// Waits until this process's copy of a group is at least as new as every change that was answered before.
    ///
    /// # Errors
    /// 503 when the store does not answer, or the copy is not there in time.
    pub(crate) async fn fresh(&self, group: Group) -> Result<(), Problem> {
        let registry = &self.console.registry;
        tokio::select! {
            refreshed = registry.refresh(&*self.console.store, group) => match refreshed {
                Ok(_) => Ok(()),
                Err(error) => Err(Problem::unavailable(&error)),
            },
            () = self.clock.sleep(self.console.config.refresh_wait.get()) => {
                Err(Problem::overloaded("the configuration is not up to date yet; try again", 1))
            }
        }
    }

    /// After a change of the configuration: waits until this process goes by it. Others do within moments. The change is made
    /// either way, so failing to wait is not the client's business.
    pub(crate) async fn take_up(&self) {
        if let Err(problem) = self.fresh(Group::Config).await {
            tracing::debug!(detail = problem.detail, "a change is not yet taken up by this process");
        }
    }

    /// A webhook of the project, as it was left by every change that was answered before.
    ///
    /// # Errors
    /// 404 when the project has no webhook of this id, 503 when the store does not answer.
    pub(crate) async fn webhook(&self, project: &ProjectId, id: &str) -> Result<Arc<ServedWebhook>, Problem> {
        let id = webhook_id(id)?;
        self.fresh(Group::Config).await?;
        self.fresh(Group::State).await?;
        let found = self.console.registry.webhook(id).filter(|served| served.webhook.project == *project);
        found.ok_or_else(no_webhook)
    }

    /// What the project's webhooks may connect to.
    pub(crate) fn policy(&self, project: &ProjectId) -> EgressPolicy {
        self.console.registry.project(project).map(|served| served.egress.clone()).unwrap_or_default()
    }

    /// A new webhook's id: UUIDv7 of the clock's time.
    pub(crate) fn new_webhook_id(&self) -> WebhookId {
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        let random: [u8; 10] = rand::random();
        WebhookId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// A new ULID of the clock's time.
    pub(crate) fn new_ulid(&self) -> Ulid {
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        Ulid::from_parts(millis, rand::random())
    }
}

/// Reads a webhook's id; what is not one names no webhook.
///
/// # Errors
/// 404.
pub(crate) fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| no_webhook())
}

/// 404 for a webhook, another project's included: that it exists is nobody else's business.
pub(crate) fn no_webhook() -> Problem {
    Problem::not_found("webhook")
}

/// 409 for what an option sets at every start, so that a change here would not last.
pub(crate) fn set_by_option(detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "set-by-option", "An option sets this", detail)
}

/// 503 after many others changed the same thing at the same time.
pub(crate) fn contended(what: &str) -> Problem {
    let detail = format!("the {what} was changed by others at the same time, again and again; try again");
    Problem::overloaded(detail, 1)
}

/// 503 when the read model does not answer; the cause goes to the log.
pub(crate) fn history_failed(error: &HistoryError) -> Problem {
    tracing::error!(error = %fanfare_runtime::tasks::report(error), "the read model could not be read");
    let detail = "what is known of events and deliveries cannot be read for now; try again";
    Problem::overloaded(detail, 1)
}
