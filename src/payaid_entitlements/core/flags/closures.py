"""From each kind of node to a closure. Nodes are whole and folded; what is compiled here cannot fail at that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from payaid_entitlements.core.flags import usual
from payaid_entitlements.core.flags.coercion import truthy
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.distributing import Bytes, fixed, moving, of_key, of_value
from payaid_entitlements.core.flags.jsonlogic.operators import CLAIMS
from payaid_entitlements.core.flags.jsonlogic.operators import OPERATORS as PLAIN
from payaid_entitlements.core.flags.jsonlogic.reaching import reach
from payaid_entitlements.core.flags.jsonlogic.reading import split
from payaid_entitlements.core.flags.looping import filtering, mapping, reducing, seeking
from payaid_entitlements.core.flags.nodes import Call, Const, Distribute, If, InSegment, Node, Var
from payaid_entitlements.core.flags.operators import OPERATORS as CONDITIONS
from payaid_entitlements.core.flags.operators import predicate
from payaid_entitlements.core.flags.surroundings import flagd, whole
from payaid_entitlements.core.flags.versions import COMPARISONS
from payaid_entitlements.core.flags.walking import LOOPS, walk

Step: TypeAlias = Callable[[FlagContext], object]


def _constant_arms(node: Distribute) -> tuple[tuple[object, ...], tuple[object, ...]] | None:
    values: list[object] = []
    weights: list[object] = []
    for serve, weight in node.arms:
        if not isinstance(serve, Const) or not isinstance(weight, int | Const):
            return None
        values.append(serve.value)
        weights.append(weight.value if isinstance(weight, Const) else weight)
    return tuple(values), tuple(weights)


def _claims(node: Node) -> bool:
    """Whether it gives true or false and nothing else."""
    if isinstance(node, Call):
        return node.operator in CLAIMS or node.operator in CONDITIONS or node.operator in ("all", "none", "some")
    return isinstance(node, InSegment) or (isinstance(node, Const) and isinstance(node.value, bool))


@dataclass(frozen=True, slots=True)
class Closures:
    """
    Makes them, for one rule.

    Attributes:
        segments, key, element: As `payaid_entitlements.core.flags.compiling.compile` is told.
    """

    segments: Mapping[str, Callable[[FlagContext], FlagValue]]
    key: str
    element: bool

    def step(self, node: Node) -> Step:
        """Make the closure of *node*: its value for a context."""
        match node:
            case Const(value):
                return lambda _: value
            case Var():
                return self._variable(node)
            case If():
                return self._choice(node)
            case Call():
                return self._call(node)
            case Distribute():
                return self._distribution(node)
            case InSegment(segment):
                within = self.segments[segment]
                return lambda context: truthy(within(context))
        raise AssertionError(f"{node} is broken, which is found before")

    def _truth(self, node: Node) -> Step:
        """Whether *node* counts as true."""
        match node:
            case Call("and" | "or" as operator, operands) if operands:
                # Of what counts as true only that is asked, not which operand said so.
                return usual.together([self._truth(operand) for operand in operands], stop=operator == "or")
        step = self.step(node)
        return step if _claims(node) else lambda context: truthy(step(context))

    # Attributes

    def _variable(self, node: Var) -> Step:
        find = self._found(node.path) if isinstance(node.path, tuple) else self._led(self.step(node.path))
        if node.default is None:
            return find
        default = self.step(node.default)

        def given(context: FlagContext) -> object:
            found = find(context)
            return default(context) if found is None else found

        return given

    def _found(self, path: tuple[str, ...]) -> Step:
        if self.element:
            return (lambda context: reach(context.attributes, path)) if path else lambda context: context.attributes
        key = self.key
        match path:
            case ():
                return lambda context: whole(context, key)
            case ("$flagd", *rest):
                return lambda context: reach(flagd(context, key), tuple(rest))
            case (name,):
                return lambda context: context.attributes.get(name)
        first, after = path[0], path[1:]
        return lambda context: reach(context.attributes.get(first), after)

    def _led(self, path: Step) -> Step:
        """The attribute to which a path leads that is known only then."""
        look = self._look()
        return lambda context: look(context, split(path(context)))

    def _look(self) -> Callable[[FlagContext, tuple[str, ...]], object]:
        if self.element:
            return lambda context, path: reach(context.attributes, path)
        key = self.key
        return lambda context, path: reach(whole(context, key), path)

    # Choosing

    def _choice(self, node: If) -> Step:
        otherwise = self.step(node.otherwise)
        if len(node.branches) == 1:
            ((condition, consequence),) = node.branches
            test, then = self._truth(condition), self.step(consequence)
            return lambda context: then(context) if test(context) else otherwise(context)
        branches = tuple((self._truth(condition), self.step(consequence)) for condition, consequence in node.branches)

        def choose(context: FlagContext) -> object:
            for test, then in branches:
                if test(context):
                    return then(context)
            return otherwise(context)

        return choose

    def _distribution(self, node: Distribute) -> Step:
        constant = _constant_arms(node)
        material = self.material(node)
        if constant is not None:
            return fixed(material, *constant)
        return moving(material, [self.step(arm) for arm, _ in node.arms], self.weights(node))

    def material(self, node: Distribute) -> Bytes:
        """What *node* hashes."""
        return of_key(node.salt, node.scheme) if node.key is None else of_value(self.step(node.key), node.scheme)

    def weights(self, node: Distribute) -> list[Step]:
        """The weights of its arms."""
        return [self.step(Const(weight) if isinstance(weight, int) else weight) for _, weight in node.arms]

    # Operators

    def _call(self, node: Call) -> Step:
        operator, operands = node.operator, node.operands
        match operator, operands:
            case _ if operator in CONDITIONS:
                return self._condition(node)
            case "and" | "or", _:
                return self._all_or_any(node)
            case "missing", _:
                return self._missing(operands)
            case "missing_some", _:
                return self._missing_some(operands)
            case "==" | "!=", (one, Const(str(wanted))) | (Const(str(wanted)), one):
                return usual.compared(self.step(one), wanted, equals=operator == "==")
            case "json:in", (one, Const(list(values))):
                return usual.listed(self.step(one), values)
            case "<" | "<=" | ">" | ">=", (one, Const(int() | float() as bound)) if not isinstance(bound, bool):
                return usual.ordered(self.step(one), operator, bound)
            case "flagd:starts_with", (one, Const(str(wanted))):
                return usual.affixed(self.step(one), str.startswith, wanted)
            case "flagd:ends_with", (one, Const(str(wanted))):
                return usual.affixed(self.step(one), str.endswith, wanted)
            case "sem_ver", (one, Const(str(sign)), Const(wanted)) if sign in COMPARISONS:
                return usual.versioned(self.step(one), sign, wanted)
        if operator in LOOPS:
            return self._loop(node)
        return usual.applied(PLAIN[operator], [self.step(operand) for operand in operands])

    def _condition(self, node: Call) -> Step:
        attribute, value = node.operands
        assert isinstance(value, Const), "what is broken was found before"
        ask, find = predicate(node.operator, value.value), self.step(attribute)
        return lambda context: ask(find(context))

    def _all_or_any(self, node: Call) -> Step:
        stop = node.operator == "or"
        if not node.operands:
            return lambda _: None
        if all(map(_claims, node.operands)):
            return usual.together([self.step(operand) for operand in node.operands], stop=stop)
        *steps, last = [self.step(operand) for operand in node.operands]

        def decide(context: FlagContext) -> object:
            # What comes out is the operand that decided, as it is.
            for step in steps:
                said = step(context)
                if truthy(said) is stop:
                    return said
            return last(context)

        return decide

    def _missing(self, operands: tuple[Node, ...]) -> Step:
        look = self._look()
        steps = [self.step(operand) for operand in operands]

        def absent(context: FlagContext) -> list[object]:
            names = [step(context) for step in steps]
            # A list in front is all of them.
            given = names[0] if names and isinstance(names[0], list | tuple) else names
            return [name for name in given if look(context, split(name)) in (None, "")]

        return absent

    def _missing_some(self, operands: tuple[Node, ...]) -> Step:
        look = self._look()
        needed, names = (self.step(operand) for operand in (*operands, Const(None), Const(None))[:2])

        def absent(context: FlagContext) -> list[object]:
            given, least = names(context), needed(context)
            if not isinstance(given, list | tuple):
                return []
            lacking = [name for name in given if look(context, split(name)) in (None, "")]
            enough = isinstance(least, int | float) and len(given) - len(lacking) >= least
            return [] if enough else lacking

        return absent

    def _loop(self, node: Call) -> Step:
        source, body, start = (*node.operands, Const(None), Const(None), Const(None))[:3]
        within = Closures(self.segments, self.key, element=True)
        through, cost = self.step(source), sum(1 for _ in walk(body))
        match node.operator:
            case "map":
                return mapping(through, within.step(body), cost)
            case "filter":
                return filtering(through, within._truth(body), cost)
            case "reduce":
                return reducing(through, within.step(body), self.step(start), cost)
        # Of an empty list JsonLogic says that not all are, none is, and not one is.
        every, none = node.operator == "all", node.operator == "none"
        return seeking(through, within._truth(body), cost, wanted=not every, found=not (every or none), empty=none)
