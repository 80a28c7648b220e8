//! Who tries something: people, programs and administrators, and what RBAC allows each. It allows nearly all of them to write
//! requests and statuses, so that what is refused is refused by admission.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding, RoleRef, Subject};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;
use tidegate_test_support::ControlPlane;

use super::APPROVED_POLICY;

/// Somebody of the cast.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Who {
    /// `tidegate-requester`.
    Alice,
    /// `tidegate-approver`: may approve, deny and revoke.
    Bob,
    /// Another requester.
    Carol,
    /// Requester and approver.
    Erin,
    /// May approve, not revoke.
    Ann,
    /// May revoke, not approve.
    Rita,
    /// May approve for the stage security, nothing else.
    Sam,
    /// May approve under the policy dev-tools only, by name.
    Nina,
    /// Help desk: create-for-others and end-for-others.
    Hana,
    /// May write requests and that is all.
    Olaf,
    /// Every verb on everything of ours, by `*`.
    Star,
    /// Has no right at all.
    Nobody,
    /// `eve:`, an approver.
    Colon,
    /// `bob@corp approve:`, an approver.
    Tricky,
    /// `bob corp`, an approver.
    Spaced,
    /// `https://idp.corp/bob#1`, an approver.
    Slash,
    /// `o'brien"x"@corp`, an approver.
    Quotes,
    /// `.*`, an approver.
    Regex,
    /// `stage=security`, who may approve for the stage security only.
    Stage,
    /// Bob's name with a Cyrillic o, an approver.
    Lookalike,
    /// `Bob@corp`, an approver.
    Capital,
    /// `zoé@corp`, composed, an approver.
    Zoe,
    /// A member of `system:masters`.
    Admin,
    /// The administrator, who impersonates Bob.
    AdminAsBob,
    /// The administrator, who impersonates a nobody in the group `system:masters`.
    AdminAsMaster,
    /// Carol, who tries to impersonate Bob.
    CarolAsBob,
    /// The controller, with the rights that it is shipped with.
    Controller,
    /// The gateway, with the rights of approvers and of the help desk besides its own.
    Gateway,
    /// The admission guard's account, with the rights that it is shipped with.
    Probe,
    /// A ServiceAccount with the rights of an approver.
    Robot,
    /// A ServiceAccount with these and decide-as-serviceaccount.
    Bot,
    /// A ServiceAccount with every verb, by `*`.
    Wild,
}

/// How somebody is known to the API server.
enum Proof {
    Certificate(&'static str),
    Account(&'static str, &'static str),
    Admin,
    /// Somebody else's credential, and the headers that impersonate.
    As(Who, &'static [(&'static str, &'static str)]),
}

/// The namespace of the ServiceAccounts that are not shipped.
const PROGRAMS: &str = "adversary-programs";

const WRITER: &str = "adversary-writer";
const REQUESTER: &str = "tidegate-requester";
const APPROVER: &str = "tidegate-approver";
const SECURITY: &str = "adversary-security";
const EVERYTHING: &str = "adversary-everything";
const HELP_DESK: &str = "adversary-help-desk";

type Role = (Who, Proof, &'static [&'static str]);

fn cast() -> Vec<Role> {
    use Proof::{Account, As, Certificate};
    let approver: &[&str] = &[WRITER, APPROVER];
    let bob_header: &[_] = &[("Impersonate-User", "bob@corp")];
    let master_headers: &[_] = &[("Impersonate-User", "mallory@corp"), ("Impersonate-Group", "system:masters")];
    vec![
        (Who::Alice, Certificate("alice@corp"), &[WRITER, REQUESTER]),
        (Who::Bob, Certificate("bob@corp"), approver),
        (Who::Carol, Certificate("carol@corp"), &[WRITER, REQUESTER]),
        (Who::Erin, Certificate("erin@corp"), &[WRITER, REQUESTER, APPROVER]),
        (Who::Ann, Certificate("ann@corp"), &[WRITER, "adversary-approve"]),
        (Who::Rita, Certificate("rita@corp"), &[WRITER, "adversary-revoke"]),
        (Who::Sam, Certificate("sam@corp"), &[WRITER, SECURITY]),
        (Who::Nina, Certificate("nina@corp"), &[WRITER, "adversary-named"]),
        (Who::Hana, Certificate("hana@corp"), &[WRITER, REQUESTER, HELP_DESK]),
        (Who::Olaf, Certificate("olaf@corp"), &[WRITER]),
        (Who::Star, Certificate("star@corp"), &[EVERYTHING]),
        (Who::Nobody, Certificate("nobody@corp"), &[]),
        (Who::Colon, Certificate("eve:"), approver),
        (Who::Tricky, Certificate("bob@corp approve:"), approver),
        (Who::Spaced, Certificate("bob corp"), approver),
        (Who::Slash, Certificate("https://idp.corp/bob#1"), approver),
        (Who::Quotes, Certificate("o'brien\"x\"@corp"), approver),
        (Who::Regex, Certificate(".*"), approver),
        (Who::Stage, Certificate("stage=security"), &[WRITER, SECURITY]),
        (Who::Lookalike, Certificate("b\u{43e}b@corp"), approver),
        (Who::Capital, Certificate("Bob@corp"), approver),
        (Who::Zoe, Certificate("zo\u{e9}@corp"), approver),
        (Who::Admin, Proof::Admin, &[]),
        (Who::AdminAsBob, As(Who::Admin, bob_header), &[]),
        (Who::AdminAsMaster, As(Who::Admin, master_headers), &[]),
        (Who::CarolAsBob, As(Who::Carol, bob_header), &[]),
        (Who::Controller, Account("tidegate-system", "tidegate-controller"), &[]),
        (Who::Gateway, Account("tidegate-system", "tidegate-gateway"), &[WRITER, APPROVER, HELP_DESK]),
        (Who::Probe, Account("tidegate-system", "tidegate-probe"), &[]),
        (Who::Robot, Account(PROGRAMS, "robot"), approver),
        (Who::Bot, Account(PROGRAMS, "bot"), &[WRITER, APPROVER, "adversary-bot"]),
        (Who::Wild, Account(PROGRAMS, "wild"), &[EVERYTHING]),
    ]
}

/// The roles that are not shipped: resource of ours, verbs, and the name if it is limited to one.
fn roles() -> Vec<ClusterRole> {
    type Rule = (&'static str, &'static [&'static str], Option<&'static str>);
    let writes: &[&str] = &["get", "patch", "update"];
    let all: Vec<(&str, Vec<Rule>)> = vec![
        (
            WRITER,
            vec![
                ("elevationrequests", &["create", "get", "patch", "update"], None),
                ("elevationrequests/status", writes, None),
                ("jitpolicies/status", writes, None),
                ("managedendpoints/status", writes, None),
                ("fleets/status", writes, None),
                ("locks/status", writes, None),
            ],
        ),
        ("adversary-approve", vec![("jitpolicies", &["approve"], None)]),
        ("adversary-revoke", vec![("jitpolicies", &["revoke"], None)]),
        (SECURITY, vec![("jitpolicies/security", &["approve"], None)]),
        ("adversary-named", vec![("jitpolicies", &["approve", "request"], Some(APPROVED_POLICY))]),
        (HELP_DESK, vec![("elevationrequests", &["create-for-others", "end-for-others"], None)]),
        ("adversary-bot", vec![("elevationrequests", &["decide-as-serviceaccount"], None)]),
        (EVERYTHING, vec![("*", &["*"], None)]),
    ];
    let rule = |(resource, verbs, name): Rule| {
        json!({"apiGroups": ["tidegate.dev"], "resources": [resource], "verbs": verbs,
               "resourceNames": name.map_or_else(Vec::new, |name| vec![name])})
    };
    let role = |(name, rules): (&str, Vec<Rule>)| json!({"metadata": {"name": name}, "rules": rules.into_iter().map(rule).collect::<Vec<_>>()});
    all.into_iter().filter_map(|each| serde_json::from_value(role(each)).ok()).collect()
}

/// Everybody, with a client each. Belongs to the runtime it is made in.
pub struct Cast {
    clients: BTreeMap<Who, kube::Client>,
    users: BTreeMap<Who, String>,
    headers: BTreeMap<Who, &'static [(&'static str, &'static str)]>,
    roles: BTreeMap<&'static str, Vec<Who>>,
}

// === impl Cast ===

impl Cast {
    /// Makes the identities, their accounts and roles. Once per control plane, which has `config/default` installed but for
    /// admission.
    pub async fn assemble(control_plane: &ControlPlane) -> Result<Self> {
        let admin = control_plane.admin().client().await?;
        let post = PostParams::default();
        let metadata = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let programs = Namespace { metadata: metadata(PROGRAMS), ..Namespace::default() };
        Api::<Namespace>::all(admin.clone()).create(&post, &programs).await?;
        for role in roles() {
            Api::<ClusterRole>::all(admin.clone()).create(&post, &role).await?;
        }
        let mut this =
            Self { clients: BTreeMap::new(), users: BTreeMap::new(), headers: BTreeMap::new(), roles: BTreeMap::new() };
        for (who, proof, roles) in cast() {
            let identity = match proof {
                Proof::Certificate(user) => control_plane.person(user)?,
                Proof::Admin => control_plane.admin().clone(),
                Proof::Account(namespace, name) => {
                    if namespace == PROGRAMS {
                        let account = ServiceAccount { metadata: metadata(name), ..ServiceAccount::default() };
                        Api::<ServiceAccount>::namespaced(admin.clone(), PROGRAMS).create(&post, &account).await?;
                    }
                    control_plane.service_account(namespace, name).await?
                }
                Proof::As(other, headers) => {
                    this.headers.insert(who, headers);
                    this.clients.insert(who, this.client(other)?);
                    this.users.insert(who, headers.first().map_or("", |(_, user)| user).to_owned());
                    continue;
                }
            };
            this.clients.insert(who, identity.client().await?);
            this.users.insert(who, identity.user().to_owned());
            for role in roles {
                this.roles.entry(role).or_default().push(who);
            }
        }
        Ok(this)
    }

    /// The client of `who`.
    pub fn client(&self, who: Who) -> Result<kube::Client> {
        self.clients.get(&who).cloned().with_context(|| format!("{who:?} is not in the cast"))
    }

    /// The name that the API server knows `who` by.
    pub fn user(&self, who: Who) -> &str {
        self.users.get(&who).map_or("", String::as_str)
    }

    /// The headers by which `who` impersonates.
    pub fn headers(&self, who: Who) -> &'static [(&'static str, &'static str)] {
        self.headers.get(&who).copied().unwrap_or_default()
    }

    /// What gives everybody their roles in a namespace: one binding a role.
    pub fn bindings(&self) -> Vec<RoleBinding> {
        let group = "rbac.authorization.k8s.io";
        let subject = |who: &Who| Subject {
            kind: "User".to_owned(),
            name: self.user(*who).to_owned(),
            api_group: Some(group.to_owned()),
            namespace: None,
        };
        let binding = |(role, whos): (&&str, &Vec<Who>)| RoleBinding {
            metadata: ObjectMeta { name: Some((*role).to_owned()), ..ObjectMeta::default() },
            role_ref: RoleRef { api_group: group.to_owned(), kind: "ClusterRole".to_owned(), name: (*role).to_owned() },
            subjects: Some(whos.iter().map(subject).collect()),
        };
        self.roles.iter().map(binding).collect()
    }
}
