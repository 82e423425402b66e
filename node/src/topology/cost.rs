//! What it costs to receive over a link: of sources that are equally near, a node takes the cheaper one.

use crate::membership::Member;

/// What it costs `receiver` to take data from `supplier`.
///
/// An operator's `override_cost` of that link stands as it is. Otherwise it is 1 for the link, the supplier's
/// own [`cost`](crate::Config::cost), and [`REGION_COST`] if both have said where they are and it is not the
/// same place. A node that has not said is as near as any. Costs are the receiver's matter: the two directions
/// of a link may differ.
pub(crate) fn link_cost(supplier: &Member, receiver: &Member, override_cost: Option<u32>) -> u32 {
    let regions = supplier.region.as_ref().zip(receiver.region.as_ref());
    let is_far = regions.is_some_and(|(supplier, receiver)| supplier != receiver);
    let way = if is_far { LINK_COST + REGION_COST } else { LINK_COST };
    override_cost.unwrap_or_else(|| supplier.cost.saturating_add(way))
}

/// Of any link: so that a way of two links costs more than one of them alone.
pub(crate) const LINK_COST: u32 = 1;

/// Of a link between two regions, beside [`LINK_COST`]: as much as ten links within one, so that data goes a
/// long way round within a region rather than cross to another one twice.
pub(crate) const REGION_COST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Role;

    fn member(region: &str, cost: u32) -> Member {
        let region = Some(region.to_owned()).filter(|it| !it.is_empty());
        Member {
            name: String::new(),
            addresses: Vec::new(),
            region,
            cost,
            apply_after_ms: 0,
            role: Role::Writer,
        }
    }

    #[test]
    fn only_a_link_between_two_known_regions_costs_more() {
        let cost = |from, to| link_cost(&member(from, 0), &member(to, 0), None);
        assert_eq!([cost("eu", "eu"), cost("", "eu"), cost("eu", ""), cost("", "")], [1; 4]);
        assert_eq!([cost("eu", "us"), cost("us", "eu")], [11; 2]);
    }

    #[test]
    fn the_cost_of_the_supplier_counts_and_not_that_of_the_receiver() {
        assert_eq!(link_cost(&member("", 7), &member("", 90), None), 8);
        assert_eq!(link_cost(&member("eu", 7), &member("us", 90), None), 18);
        assert_eq!(link_cost(&member("eu", u32::MAX), &member("us", 0), None), u32::MAX);
    }

    #[test]
    fn what_the_operator_says_of_a_link_is_its_cost() {
        assert_eq!(link_cost(&member("eu", 7), &member("us", 0), Some(0)), 0);
        assert_eq!(link_cost(&member("", 7), &member("", 0), Some(40)), 40);
    }
}
