//! Which parts an endpoint gets. The gateway asks to serve no more than that, the agent asks again with its own signed
//! placement, so a gateway that errs or lies cannot give a policy to the wrong endpoint.

use crate::grant::GrantBody;
use crate::name::EndpointRef;
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;

/// Does the endpoint of this placement receive this policy? Judged by name and labels; which accounts the policy
/// reaches on it is judged where access is given.
#[must_use]
pub fn selects(placement: &PlacementBody, policy: &PolicyBody) -> bool {
    policy.targets.endpoints.reaches(&placement.endpoint.name, &placement.labels)
}

/// Does the grant hold on this endpoint? A re-created endpoint of the same name is another one.
#[must_use]
pub fn is_for(endpoint: &EndpointRef, grant: &GrantBody) -> bool {
    grant.endpoint == *endpoint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::fixture;
    use crate::target::EndpointTarget;

    #[test]
    fn a_policy_is_selected_by_labels_or_name_whatever_accounts_it_reaches() {
        let mut placement = fixture::placement();
        let mut policy = fixture::policy();
        assert!(selects(&placement, &policy));
        placement.accounts.clear();
        assert!(selects(&placement, &policy));
        placement.labels.clear();
        assert!(!selects(&placement, &policy));
        policy.targets.endpoints = EndpointTarget::Names([placement.endpoint.name.clone()].into());
        assert!(selects(&placement, &policy));
    }

    #[test]
    fn a_grant_is_for_one_endpoint_by_name_and_uid() {
        let grant = fixture::grant();
        assert!(is_for(&fixture::endpoint(), &grant));
        let recreated = EndpointRef { uid: fixture::uid("re-created"), ..fixture::endpoint() };
        assert!(!is_for(&recreated, &grant));
        let renamed = EndpointRef { name: "ws-043".parse().unwrap(), ..fixture::endpoint() };
        assert!(!is_for(&renamed, &grant));
    }
}
