//! What to do instead, for each thing that is refused. The first that fits counts, in this order.

/// One entry of the page.
pub struct Advice {
    /// What all its refusals have in them.
    pub says: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What to do instead; Markdown.
    pub instead: &'static str,
}

const fn advice(says: &'static str, title: &'static str, instead: &'static str) -> Advice {
    Advice { says, title, instead }
}

/// The sections of the page with their entries, in order.
pub const SECTIONS: &[(&str, &[Advice])] = &[
    ("When you ask", ASKING),
    ("When you decide", DECIDING),
    ("When you change a request", CHANGING),
    ("Statuses and certificates", PROGRAMS),
    ("By Kubernetes itself", KUBERNETES),
];

const ASKING: &[Advice] = &[
    advice(
        "denied request: request on jitpolicies/",
        "No right to ask under that policy",
        "ask under a policy that you may ask under (`kubectl auth can-i request jitpolicies/<name>`), or have somebody bind you to a role \
         with `request` on it, such as the ClusterRole `tidegate-requester`.",
    ),
    advice(
        "spec.requester must be your own user name",
        "Another person as requester",
        "leave `spec.requester` out where the API server stamps it, else write the name that `kubectl auth whoami` shows. Whose account it \
         is stands in `spec.account`.",
    ),
    advice(
        "spec.onBehalf needs create-for-others",
        "Asking for somebody else",
        "let the person ask. A help desk needs `create-for-others` on elevationrequests; no shipped role has it.",
    ),
    advice(
        "a request must not be created with annotations",
        "A request with annotations",
        "create the request without annotations, then decide. A backup of requests cannot be restored: ask anew.",
    ),
    advice(
        "a request must not be created with ownerReferences or finalizers",
        "A request with owners or finalizers",
        "leave them out. A request belongs to nobody: the end of another object must not revoke it.",
    ),
];

const DECIDING: &[Advice] = &[
    advice(
        "denied request: a decision must read",
        "Words that are no decision",
        "write the words in this order with exactly one blank between them; a comment comes after `: ` on one line, at most 512 characters \
         without control or invisible ones. A user name with a blank cannot decide.",
    ),
    advice(
        "a decision must start with your own user name",
        "A decision in another's name",
        "begin with the name that `kubectl auth whoami` shows. Nobody decides for somebody else, administrators included.",
    ),
    advice(
        "is not a key that can be set now",
        "A key that would do nothing",
        "use the key that the message names. Other annotations cannot be put on a request: keep notes in the comment of a decision.",
    ),
    advice("one decision at a time", "Two decisions at once", "write one decision, then the next."),
    advice(
        "a decision must not be changed or removed",
        "Changing what was decided",
        "add another decision in the next slot: `revoke` or `deny` takes an approval back.",
    ),
    advice(
        "no more approvals after 32 decisions",
        "Too many decisions",
        "`revoke` or `end` the request, which is always possible, and ask anew.",
    ),
    advice(
        "nobody may approve their own request",
        "Approving for oneself",
        "ask somebody else. You may `end` your own request.",
    ),
    advice(
        "denied request: approve on jitpolicies/",
        "No right to approve or deny",
        "somebody who has the right decides (`kubectl auth can-i approve jitpolicies/<name>`). If you may decide for one stage only, name it: \
         `approve stage=<name>`.",
    ),
    advice(
        "denied request: revoke on jitpolicies/",
        "No right to revoke",
        "somebody with `revoke` on the policy revokes. An approver can `deny`, which revokes what is granted; the requester can `end`.",
    ),
    advice(
        "only the requester ends a request",
        "Ending another's request",
        "`deny` or `revoke`, if you may; `end` gives back what is one's own.",
    ),
    advice(
        "a service account needs decide-as-serviceaccount",
        "A program decides",
        "give the ServiceAccount `decide-as-serviceaccount` on elevationrequests by name, in a role without `*`, besides `approve` on the policy.",
    ),
    advice(
        "the request is being deleted",
        "Deciding what is being deleted",
        "nothing: a deleted request is revoked. Whoever still needs access asks anew.",
    ),
    advice(
        "this API server does not stamp decisions",
        "The short form where nothing stamps",
        "write the annotation that the message shows, or install `config/admission/mutating` on Kubernetes 1.36 or newer.",
    ),
];

const CHANGING: &[Advice] = &[
    advice(
        "at most 64 annotations of 4096 characters each",
        "Too many or too long annotations",
        "write the decision alone, with a shorter comment.",
    ),
    advice(
        "no label, owner or finalizer",
        "Labels, owners and finalizers",
        "leave a request as it is. What belongs to it comes with `spec` when it is made.",
    ),
    advice("no other annotation changed", "An annotation from before the policies", "remove it, or leave it as it is."),
    advice(
        "only the controller removes the finalizer",
        "Stripping the finalizer",
        "wait: the controller releases it once the end of access is recorded.",
    ),
    advice(
        "spec is immutable: a different wish",
        "Another wish in an old request",
        "`end` the request and create another.",
    ),
];

const PROGRAMS: &[Advice] = &[
    advice(
        "only the controller writes this status",
        "Writing a status",
        "nothing: a status says what the controller found. To end access write `revoke`, or create a Lock.",
    ),
    advice(
        "the gateway must not write",
        "The gateway writes what is the controller's",
        "nothing; if you did not try this yourself, find out who has the gateway's credentials.",
    ),
    advice(
        "the gateway may only ask for",
        "The gateway asks for another signer's certificate",
        "nothing; if you did not try this yourself, find out who has the gateway's credentials.",
    ),
];

const KUBERNETES: &[Advice] = &[
    advice(
        "cannot impersonate",
        "Impersonation",
        "act under your own name. Whoever may impersonate may decide as that person.",
    ),
    advice(
        "in API group",
        "No right at all",
        "have somebody bind you to a role with that verb, such as `tidegate-requester` or `tidegate-approver`, in this namespace. The \
         programs have just the rights they need.",
    ),
    advice("UID in precondition", "The object is another by now", "look at the new request before you decide on it."),
    advice(
        "the object has been modified",
        "Somebody was faster",
        "read the request again, with what was decided meanwhile, and decide on that.",
    ),
    advice(
        "Apply failed with",
        "Another field manager has it",
        "use `kubectl annotate` for decisions; what is decided cannot be applied over.",
    ),
    advice(
        "field is immutable",
        "What never changes",
        "leave it out. If the uid differs, the request was deleted and made anew: look at it before you decide.",
    ),
    advice(
        "262144 bytes",
        "Annotations beyond what Kubernetes stores",
        "write one decision of at most 4,096 characters.",
    ),
    advice(
        "metadata.annotations: Invalid value",
        "A key that is no key",
        "use the key `decision.tidegate.dev/<n>` with the next number.",
    ),
    advice(
        "should match",
        "A value of another form",
        "write the form that the message shows; `kubectl explain` says more about the field.",
    ),
    advice(
        "due to an error in our request",
        "A JSON patch that does not fit",
        "read the request again: a `test` of the patch failed, so it is not the object that you looked at.",
    ),
    advice("name must be provided", "An object without its name", "leave `metadata` as it is."),
    advice("not found", "A subresource that does not exist", "nothing: requests have no scale."),
];
