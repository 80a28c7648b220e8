//! When a JitPolicy gives access: `spec.access`. Three forms are granted ahead and need no request; the fourth is on request.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::ApprovalTerms;
use crate::schema;

/// How access is given: `type` says how, and the member of that name holds its settings.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Fixed') == has(self.fixed)")
    .message("fixed belongs to type: Fixed, and is required there"))]
#[x_kube(validation = Rule::new("(self.type == 'Window') == has(self.window)")
    .message("window belongs to type: Window, and is required there"))]
#[x_kube(validation = Rule::new("(self.type == 'Recurring') == has(self.recurring)")
    .message("recurring belongs to type: Recurring, and is required there"))]
#[x_kube(validation = Rule::new("(self.type == 'OnRequest') == has(self.onRequest)")
    .message("onRequest belongs to type: OnRequest, and is required there (onRequest: {} takes every default)"))]
pub struct Access {
    /// Without a request: Fixed (for a length of time from an instant on), Window (from one instant to another), Recurring (in
    /// windows of every week). OnRequest: after an ElevationRequest was approved. May grow.
    #[serde(rename = "type")]
    pub access_type: AccessType,
    /// The start and the length, for type Fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// The span in which access is given, for type Window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The windows of every week, for type Recurring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring: Option<Recurring>,
    /// What a request must bring and who decides, for type OnRequest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_request: Option<OnRequest>,
}

/// The ways of giving access. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AccessType {
    /// For a length of time from an instant on, without a request.
    Fixed,
    /// From one instant to another, without a request.
    Window,
    /// In windows of every week, without a request.
    Recurring,
    /// After an ElevationRequest was approved.
    OnRequest,
}

/// One span of access from its start and its length. Both are required: a policy applied again from Git must not grant again.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fixed {
    /// When access begins: RFC 3339 in UTC, whole seconds, such as 2027-01-31T18:00:00Z.
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Time,
    /// How long it lasts, 1s to 8760h (a year), such as 8h or 1h30m.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "8760h"))]
    pub duration: String,
}

/// One span of access, half open: the end itself is outside.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.endTime > self.startTime").message("endTime must be after startTime"))]
pub struct Window {
    /// When access begins: RFC 3339 in UTC, whole seconds, such as 2027-01-31T18:00:00Z.
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Time,
    /// When access ends, after startTime; same form.
    #[schemars(schema_with = "schema::instant")]
    pub end_time: Time,
}

/// Windows that come again every week, by the clock on the wall of a time zone.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recurring {
    /// The IANA time zone whose clocks say when a window begins, such as Europe/Berlin or UTC. One that does not exist makes the
    /// policy Invalid.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::TIME_ZONE))]
    pub time_zone: String,
    /// The windows, 1 to 16. Those that touch or overlap are one.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub windows: Vec<WeeklyWindow>,
}

/// A window that begins at the same time of some days of the week.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WeeklyWindow {
    /// The days on which it begins: Mon, Tue, Wed, Thu, Fri, Sat, Sun; at least one, each once. It may end on a later day.
    #[schemars(length(min = 1, max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub days: Vec<Weekday>,
    /// When it begins by the clock of timeZone, "00:00" to "23:59"; write it in quotes, YAML takes 18:00 for a number.
    #[schemars(length(equal = 5), regex(pattern = schema::TIME_OF_DAY))]
    pub start: String,
    /// How long it lasts, 1s to 168h, such as 14h: real time, also when the clocks change meanwhile.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "168h"))]
    pub duration: String,
}

/// Days of the week.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// What a request under this policy must bring, how long it waits, and who decides.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnRequest {
    /// What is asked of spec.reason of a request. Default {required: true, minLength: 10}.
    #[serde(default)]
    pub reason: ReasonRule,
    /// What is asked of spec.ticket of a request. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketRule>,
    /// How long access may last: 1s <= min <= default <= max <= 24h. Default {min: 5m, max: 24h, default: 30m}.
    #[serde(default)]
    pub duration: DurationRange,
    /// How long a request waits for its decisions before it is TimedOut, 1s to 168h. Default 1h.
    #[serde(default = "default_pending_timeout")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1s", "168h"))]
    pub pending_timeout: String,
    /// What is approved without a person, and how many approvals everything else needs. Default: one approval, by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalTerms>,
}

impl Default for OnRequest {
    fn default() -> Self {
        Self {
            reason: ReasonRule::default(),
            ticket: None,
            duration: DurationRange::default(),
            pending_timeout: default_pending_timeout(),
            approval: None,
        }
    }
}

fn default_pending_timeout() -> String {
    "1h".to_owned()
}

/// What is asked of the reason of a request.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonRule {
    /// Whether a request must give a reason. Default true.
    #[serde(default = "default_reason_required")]
    pub required: bool,
    /// The least number of characters of a reason that is given, 0 to 512. Default 10.
    #[serde(default = "default_reason_min_length")]
    #[schemars(range(min = 0, max = 512))]
    pub min_length: i64,
    /// A regular expression (RE2) that a given reason must match somewhere; ^ and $ tie it to the whole. At most 256 characters.
    /// Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub pattern: String,
}

impl Default for ReasonRule {
    fn default() -> Self {
        Self { required: default_reason_required(), min_length: default_reason_min_length(), pattern: String::new() }
    }
}

fn default_reason_required() -> bool {
    true
}

fn default_reason_min_length() -> i64 {
    10
}

/// What is asked of the ticket of a request.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketRule {
    /// Whether a request must name a ticket. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// A regular expression (RE2) that a given ticket must match somewhere, such as ^[A-Z]+-[0-9]+$. At most 256 characters.
    /// Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub pattern: String,
}

/// How long access may last.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = crate::schema::duration_range())]
pub struct DurationRange {
    /// The shortest that may be asked for or granted, at least 1s. Default 5m.
    #[serde(default = "default_min")]
    #[schemars(schema_with = "schema::duration")]
    pub min: String,
    /// The longest that may be asked for or granted, at most 24h. Default 24h.
    #[serde(default = "default_max")]
    #[schemars(schema_with = "schema::duration")]
    pub max: String,
    /// What a request gets that asks for no duration. Default 30m.
    #[serde(default = "default_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub default: String,
}

impl Default for DurationRange {
    fn default() -> Self {
        Self { min: default_min(), max: default_max(), default: default_duration() }
    }
}

fn default_min() -> String {
    "5m".to_owned()
}

fn default_max() -> String {
    "24h".to_owned()
}

fn default_duration() -> String {
    "30m".to_owned()
}
