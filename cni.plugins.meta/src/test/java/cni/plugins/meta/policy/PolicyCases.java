// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The cases of {@link ReachabilityTest}; see {@link PolicyWorld} and {@link Expectation}. */
final class PolicyCases {
  private static final String ANY = "{}";
  private static final String TCP_80 = "{'port':80}";
  private static final String UDP_53 = "{'protocol':'UDP','port':53}";
  private static final String ICMP = "{'protocol':'ICMP'}";

  private final List<Case> cases = new ArrayList<>();

  private PolicyCases() {}

  /**
   * A case.
   *
   * @param services probed beside the usual ones
   */
  record Case(String name, List<String> services, List<Step> steps) {
    /** Puts policies in force and expects a matrix. */
    Case then(String policies, String... expectations) {
      steps.add(new Step(policies, Map.of(), List.of(expectations)));
      return this;
    }

    /** Changes labels of a container and expects a matrix. */
    Case relabel(String container, String labels, String... expectations) {
      steps.add(new Step(null, Map.of(container, labels), List.of(expectations)));
      return this;
    }
  }

  /**
   * A step of a case.
   *
   * @param policies null if they stay as they are
   */
  record Step(@Nullable String policies, Map<String, String> labels, List<String> expectations) {}

  /** Returns all cases. */
  static List<Case> all() {
    var cases = new PolicyCases();
    cases.addDefaults();
    cases.addSelectors();
    cases.addPeers();
    cases.addBlocks();
    cases.addPorts();
    cases.addProtocols();
    cases.addDirections();
    cases.addOverlaps();
    cases.addUpdates();
    cases.addManifests();
    return cases.cases;
  }

  private Case add(String name, String... services) {
    var added = new Case(name, List.of(services), new ArrayList<>());
    cases.add(added);
    return added;
  }

  private static String policy(String name, String selector, String... body) {
    return "{'name':'%s','podSelector':%s,%s}".formatted(name, selector, String.join(",", body));
  }

  private static String list(String... policies) {
    return "[" + String.join(",", policies) + "]";
  }

  private static String types(String types) {
    return "'policyTypes':['" + types.replace(",", "','") + "']";
  }

  private static String ingress(String... rules) {
    return "'ingress':[" + String.join(",", rules) + "]";
  }

  private static String egress(String... rules) {
    return "'policyTypes':['Egress'],'egress':[" + String.join(",", rules) + "]";
  }

  private static String from(String... peers) {
    return "{'from':[" + String.join(",", peers) + "]}";
  }

  private static String from(List<String> ports, String... peers) {
    return "{'from':[%s],'ports':[%s]}".formatted(String.join(",", peers), String.join(",", ports));
  }

  private static String to(String... peers) {
    return "{'to':[" + String.join(",", peers) + "]}";
  }

  private static String to(List<String> ports, String... peers) {
    return "{'to':[%s],'ports':[%s]}".formatted(String.join(",", peers), String.join(",", ports));
  }

  private static String ports(String... ports) {
    return "{'ports':[" + String.join(",", ports) + "]}";
  }

  /** Returns a selector of labels such as app=web,tier=front. */
  private static String labels(String labels) {
    return "{'matchLabels':{'" + labels.replace("=", "':'").replace(",", "','") + "'}}";
  }

  private static String expression(String key, String operator, String... values) {
    String list = values.length == 0 ? "" : ",'values':['" + String.join("','", values) + "']";
    return "{'matchExpressions':[{'key':'%s','operator':'%s'%s}]}".formatted(key, operator, list);
  }

  private static String pods(String selector) {
    return "{'podSelector':" + selector + "}";
  }

  private static String app(String app) {
    return pods(labels("app=" + app));
  }

  private static String block(String cidr, String... except) {
    String list = except.length == 0 ? "" : ",'except':['" + String.join("','", except) + "']";
    return "{'ipBlock':{'cidr':'" + cidr + "'" + list + "}}";
  }

  private void addDefaults() {
    add("no policies").then("[]");
    add("default deny ingress of all")
        .then(list(policy("deny", ANY, types("Ingress"))), "* > web,db,mon,cache,api,job: none");
    add("default deny egress of all")
        .then(list(policy("deny", ANY, types("Egress"))), "web,db,mon,cache,api,job > *: none");
    add("default deny both ways")
        .then(list(policy("deny", ANY, types("Ingress,Egress"))), "* > *: none");
    add("default deny ingress of one")
        .then(list("{'name':'deny','podSelector':%s}".formatted(labels("app=db"))), "* > db: none");
    add("default deny egress of one")
        .then(list(policy("deny", labels("app=db"), types("Egress"))), "db > *: none");
    add("allow all ingress explicitly").then(list(policy("allow", ANY, ingress("{}"))));
    add("allow all egress explicitly").then(list(policy("allow", ANY, egress("{}"))));
    add("deny a routed container")
        .then(
            list(policy("deny", labels("app=job"), types("Ingress,Egress"))),
            "* > job: none",
            "job > *: none");
    add("a selector that matches nothing")
        .then(list(policy("deny", labels("app=nothing"), types("Ingress,Egress"))));
    add("limits alone restrict nothing")
        .then(list(policy("limit", ANY, "'bandwidth':{'ingressRate':8000000000}")));
  }

  private void addSelectors() {
    add("ingress from labels")
        .then(
            list(policy("p", labels("app=db"), ingress(from(app("web"))))),
            "* > db: none",
            "web > db: all");
    add("two labels must both match")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(
                            pods(labels("app=web,tier=back")),
                            pods(labels("app=api,tier=front")))))),
            "* > db: none",
            "api > db: all");
    add("expression In")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(pods(expression("app", "In", "api", "job")))))),
            "* > db: none",
            "api,job > db: all");
    add("expression NotIn matches a missing key, but no outsider")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(pods(expression("tier", "NotIn", "front")))))),
            "* > db: none",
            "mon,cache,job > db: all");
    add("expression Exists")
        .then(
            list(policy("p", labels("app=mon"), ingress(from(pods(expression("tier", "Exists")))))),
            "* > mon: none",
            "web,db,cache,api,job > mon: all");
    add("expression DoesNotExist")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(pods(expression("tier", "DoesNotExist")))))),
            "* > db: none",
            "mon > db: all");
    add("the policy's own selector by expression")
        .then(
            list(policy("p", expression("tier", "In", "back", "batch"), types("Ingress"))),
            "* > db,cache,job: none");
    add("all containers as peers excludes the outside")
        .then(list(policy("p", labels("app=db"), ingress(from(pods(ANY))))), "out,far > db: none");
    add("a group talks within itself")
        .then(
            list(policy("p", labels("tier=front"), ingress(from(pods(labels("tier=front")))))),
            "* > web,api: none",
            "web > api: all",
            "api > web: all");
  }

  private void addPeers() {
    add("a policy of a network")
        .then(
            "[{'name':'p','networks':['green'],'policyTypes':['Ingress']}]", "* > cache,api: none");
    add("a policy of a network and labels")
        .then(
            "[{'name':'p','networks':['green'],'podSelector':%s,'policyTypes':['Ingress']}]"
                .formatted(labels("tier=back")),
            "* > cache: none");
    add("ingress from a network")
        .then(
            list(policy("p", labels("app=db"), ingress(from("{'networks':['green','routed']}")))),
            "* > db: none",
            "cache,api,job > db: all");
    add("network and labels of one peer must both match")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(
                            "{'networks':['green'],'podSelector':%s}"
                                .formatted(labels("tier=front")))))),
            "* > db: none",
            "api > db: all");
    add("two peers: either suffices")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from("{'networks':['routed']}", pods(labels("tier=front")))))),
            "* > db: none",
            "web,api,job > db: all");
    add("two rules: either suffices")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(List.of(TCP_80), app("web")), from(List.of(UDP_53), app("api"))))),
            "* > db: none",
            "web > db: tcp/80",
            "api > db: udp/53");
    add("tenants: two networks are isolated")
        .then(
            "[{'name':'blue','networks':['blue'],'ingress':[{'from':[{'networks':['blue']}]}]},"
                + "{'name':'green','networks':['green'],"
                + "'ingress':[{'from':[{'networks':['green']}]}]}]",
            "!web,db,mon > web,db,mon: none",
            "host > web,db,mon: all",
            "!cache,api > cache,api: none",
            "host > cache,api: all");
    add("egress to a network")
        .then(
            list(policy("p", labels("app=job"), egress(to("{'networks':['blue']}")))),
            "job > *: none",
            "job > web,db,mon: all");
  }

  private void addBlocks() {
    add("CIDR of IPv4 only")
        .then(
            list(policy("p", labels("app=db"), ingress(from(block("192.0.2.0/24"))))),
            "* > db: none",
            "out,far > db v4: all");
    add("CIDRs of both versions")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(block("192.0.2.0/24"), block("2001:db8::/64"))))),
            "* > db: none",
            "out,far > db: all");
    add("CIDR with except")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(
                            block("192.0.2.0/24", "192.0.2.128/25"),
                            block("2001:db8::/64", "2001:db8::80/121"))))),
            "* > db: none",
            "out > db: all");
    add("except of one peer, allowed by another")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(
                            block("0.0.0.0/0", "192.0.2.128/25"),
                            block("::/0", "2001:db8::80/121")),
                        from(
                            List.of(TCP_80), block("192.0.2.130/32"), block("2001:db8::82/128"))))),
            "far > db: tcp/80");
    add("CIDR of containers' addresses")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(block("10.60.0.0/16"), block("fd60::/64"))))),
            "* > db: none",
            "cache,api > db: all");
    add("any address of IPv4")
        .then(
            list(policy("p", labels("app=db"), ingress(from(block("0.0.0.0/0"))))),
            "* > db v6: none");
    add("egress to a CIDR")
        .then(
            list(
                policy(
                    "p",
                    labels("app=web"),
                    egress(to(block("192.0.2.130/32"), block("2001:db8::82/128"))))),
            "web > *: none",
            "web > far: all");
    add("egress to a CIDR with except")
        .then(
            list(
                policy(
                    "p",
                    labels("app=job"),
                    egress(
                        to(
                            block("192.0.2.0/24", "192.0.2.2/32"),
                            block("2001:db8::/64", "2001:db8::2/128"))))),
            "job > *: none",
            "job > far,host: all");
    add("egress everywhere but to the containers")
        .then(
            list(
                policy(
                    "p",
                    labels("app=web"),
                    egress(to(block("0.0.0.0/0", "10.0.0.0/8"), block("::/0", "fd00::/8"))))),
            "web > db,mon,cache,api,job: none");
    add("CIDR and port")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(List.of(TCP_80), block("192.0.2.2/32"), block("2001:db8::2/128"))))),
            "* > db: none",
            "out > db: tcp/80");
    add("nested CIDRs with different ports", "tcp/5432")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(List.of("{'port':80,'endPort':81}"), block("192.0.2.0/24")),
                        from(List.of("{'port':81,'endPort':5432}"), block("192.0.2.128/25"))))),
            "* > db: none",
            "out > db v4: tcp/80,tcp/81",
            "far > db v4: tcp/80,tcp/81,tcp/5432");
  }

  private void addPorts() {
    add("a port for all")
        .then(list(policy("p", labels("app=db"), ingress(ports(TCP_80)))), "* > db: tcp/80");
    add("a port for one peer")
        .then(
            list(policy("p", labels("app=db"), ingress(from(List.of(TCP_80), app("web"))))),
            "* > db: none",
            "web > db: tcp/80");
    add("ports with names", "tcp/5432")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'port':'sql'}")))),
            "* > db: tcp/5432");
    add("the name of a port of another protocol matches nothing")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'port':'dns'}")))), "* > db: none");
    add("the name of a port of UDP, one peer")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(List.of("{'protocol':'UDP','port':'dns'}"), app("api"))))),
            "* > db: none",
            "api > db: udp/53");
    add("a name that the container lacks")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'port':'other'}")))),
            "* > db: none");
    add("egress to a port with a name is that of the destination")
        .then(
            list(policy("p", labels("app=web"), egress(ports("{'port':'http'}")))),
            "web > *: none",
            "web > db,mon,cache,api,job: tcp/80");
    add("a range of ports", "tcp/8080", "tcp/8081", "tcp/8082")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'port':8080,'endPort':8081}")))),
            "* > db: tcp/8080,tcp/8081");
    add("a range of ports for one peer", "tcp/8080", "tcp/8081", "tcp/8082")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(List.of("{'port':8081,'endPort':8090}"), app("web"))))),
            "* > db: none",
            "web > db: tcp/8081,tcp/8082");
    add("ranges that overlap", "tcp/8080", "tcp/8081", "tcp/8082")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(
                        from(List.of("{'port':8080,'endPort':8081}"), app("web"), app("api")),
                        from(List.of("{'port':8081,'endPort':8082}"), app("web"), app("job"))))),
            "* > db: none",
            "web > db: tcp/8080,tcp/8081,tcp/8082",
            "api > db: tcp/8080,tcp/8081",
            "job > db: tcp/8081,tcp/8082");
    add("egress to a range", "tcp/8080", "tcp/8081", "tcp/8082")
        .then(
            list(policy("p", labels("app=job"), egress(ports("{'port':8082,'endPort':65535}")))),
            "job > *: tcp/8082");
    add("all ports of a protocol", "tcp/5432")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'protocol':'TCP'}")))),
            "* > db: tcp/80,tcp/81,tcp/5432");
    add("ports 1 to 65535", "tcp/5432")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(List.of("{'port':1,'endPort':65535}"), app("web"))))),
            "* > db: none",
            "web > db: tcp/80,tcp/81,tcp/5432");
  }

  private void addProtocols() {
    add("UDP only")
        .then(list(policy("p", labels("app=db"), ingress(ports(UDP_53)))), "* > db: udp/53");
    add("the same port of TCP is another one", "tcp/53")
        .then(list(policy("p", labels("app=db"), ingress(ports(UDP_53)))), "* > db: udp/53");
    add("SCTP, one port", "sctp/9000", "sctp/9001")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    ingress(from(List.of("{'protocol':'SCTP','port':9000}"), app("web"))))),
            "* > db: none",
            "web > db: sctp/9000");
    add("SCTP, one port for all", "sctp/9000", "sctp/80")
        .then(
            list(
                policy(
                    "p", labels("tier=back"), ingress(ports("{'protocol':'SCTP','port':9000}")))),
            "* > db,cache: sctp/9000");
    add("SCTP, egress by range", "sctp/9000", "sctp/9001")
        .then(
            list(
                policy(
                    "p",
                    labels("app=api"),
                    egress(ports("{'protocol':'SCTP','port':9001,'endPort':9100}")))),
            "api > *: sctp/9001");
    add("SCTP is not allowed by a port of TCP", "sctp/80")
        .then(list(policy("p", labels("app=db"), ingress(ports(TCP_80)))), "* > db: tcp/80");
    add("ICMP only")
        .then(list(policy("p", labels("app=db"), ingress(ports(ICMP)))), "* > db: icmp");
    add("ICMP from one peer")
        .then(
            list(policy("p", labels("app=db"), ingress(from(List.of(ICMP), app("job"))))),
            "* > db: none",
            "job > db: icmp");
    add("ICMP out of one container")
        .then(list(policy("p", labels("app=db"), egress(ports(ICMP)))), "db > *: icmp");
    add("ICMP from a CIDR")
        .then(
            list(
                policy(
                    "p",
                    labels("app=job"),
                    ingress(from(List.of(ICMP), block("192.0.2.2/32"), block("2001:db8::2/128"))))),
            "* > job: none",
            "out > job: icmp");
  }

  private void addDirections() {
    add("egress to labels")
        .then(
            list(policy("p", labels("app=web"), egress(to(app("db"))))),
            "web > *: none",
            "web > db: all");
    add("egress to a port of labels")
        .then(
            list(policy("p", labels("app=web"), egress(to(List.of(TCP_80), app("cache"))))),
            "web > *: none",
            "web > cache: tcp/80");
    add("ingress and egress are both needed")
        .then(
            list(
                policy("e", labels("app=web"), egress(to(app("db"), app("cache")))),
                policy("i", labels("app=db"), ingress(from(app("api")))),
                policy("j", labels("app=cache"), ingress(from(List.of(TCP_80), app("web"))))),
            "* > db: none",
            "api > db: all",
            "* > cache: none",
            "web > *: none",
            "web > cache: tcp/80");
    add("ingress does not restrict what the container sends")
        .then(
            list(policy("p", labels("app=db"), ingress(from(app("web"))))),
            "* > db: none",
            "web > db: all",
            "db > *: all");
    add("both directions in one policy")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    "'ingress':[%s],'egress':[%s]"
                        .formatted(from(app("web")), to(List.of(UDP_53), app("cache"))))),
            "* > db: none",
            "web > db: all",
            "db > *: none",
            "db > cache: udp/53");
    add("a container cannot be reached through its own egress")
        .then(
            list(
                policy(
                    "p",
                    labels("app=db"),
                    types("Ingress,Egress"),
                    "'egress':[" + to(app("web")) + "]")),
            "* > db: none",
            "db > *: none",
            "db > web: all");
  }

  private void addOverlaps() {
    add("policies of one container add up")
        .then(
            list(
                policy("a", labels("app=db"), ingress(from(List.of(TCP_80), app("web")))),
                policy("b", labels("tier=back"), ingress(from(List.of("{'port':81}"), app("web")))),
                policy("c", ANY, ingress(from(List.of(UDP_53), app("mon"))))),
            "* > web,db,mon,cache,api,job: none",
            "mon > web,db,cache,api,job: udp/53",
            "web > db: tcp/80,tcp/81",
            "web > cache: tcp/81");
    add("deny all and a hole")
        .then(
            list(
                policy("deny", ANY, types("Ingress,Egress")),
                policy("e", labels("app=web"), egress(to(List.of(TCP_80), app("db")))),
                policy("i", labels("app=db"), ingress(from(List.of(TCP_80), app("web"))))),
            "* > *: none",
            "web > db: tcp/80");
    add("deny all and allow all of one")
        .then(
            list(
                policy("deny", ANY, types("Ingress")),
                policy("x", labels("app=db"), ingress("{}"))),
            "* > web,mon,cache,api,job: none");
    add("the same rule twice")
        .then(
            list(
                policy("a", labels("app=db"), ingress(from(List.of(TCP_80), app("web")))),
                policy("b", labels("app=db"), ingress(from(List.of(TCP_80), app("web"))))),
            "* > db: none",
            "web > db: tcp/80");
    add("labels and CIDR name the same container")
        .then(
            list(
                policy("a", labels("app=db"), ingress(from(List.of(TCP_80), app("api")))),
                policy(
                    "b",
                    labels("app=db"),
                    ingress(from(List.of(UDP_53), block("10.60.0.0/24"), block("fd60::/64"))))),
            "* > db: none",
            "cache > db: udp/53",
            "api > db: tcp/80,udp/53");
  }

  private void addUpdates() {
    String deny = list(policy("p", ANY, types("Ingress")));
    String allow = list(policy("p", ANY, ingress("{}")));
    String denied = "* > web,db,mon,cache,api,job: none";
    add("allow all after deny all, and deny all after it")
        .then(deny, denied)
        .then(allow)
        .then(deny, denied);
    add("another policy opens, and its deletion closes")
        .then(deny, denied)
        .then(
            list(policy("p", ANY, types("Ingress")), policy("q", labels("app=db"), ingress("{}"))),
            denied,
            "* > db: all")
        .then(deny, denied);
    add("deletion of the last policy").then(deny, denied).then("[]");
    add("a policy changes its selector")
        .then(list(policy("p", labels("app=db"), types("Ingress"))), "* > db: none")
        .then(list(policy("p", labels("app=api"), types("Ingress"))), "* > api: none");
    add("a policy changes its peer and its port")
        .then(
            list(policy("p", labels("app=db"), ingress(from(List.of(TCP_80), app("web"))))),
            "* > db: none",
            "web > db: tcp/80")
        .then(
            list(policy("p", labels("app=db"), ingress(from(List.of(UDP_53), app("web"))))),
            "* > db: none",
            "web > db: udp/53")
        .then(
            list(policy("p", labels("app=db"), ingress(from(List.of(UDP_53), app("job"))))),
            "* > db: none",
            "job > db: udp/53");
    add("a policy changes its direction")
        .then(list(policy("p", labels("app=db"), types("Ingress"))), "* > db: none")
        .then(list(policy("p", labels("app=db"), types("Egress"))), "db > *: none");
    String web = list(policy("p", labels("app=db"), ingress(from(app("web")))));
    add("a peer gets and loses its label")
        .then(web, "* > db: none", "web > db: all")
        .relabel("job", "app=web", "* > db: none", "web,job > db: all")
        .relabel("web", "app=other", "* > db: none", "job > db: all");
    add("a container gets and loses the label that a policy selects")
        .then(web, "* > db: none", "web > db: all")
        .relabel("cache", "app=db", "* > db,cache: none", "web > db,cache: all")
        .relabel("db", "app=free", "* > cache: none", "web > cache: all");
    add("a label of egress changes")
        .then(
            list(policy("p", labels("app=web"), egress(to(pods(labels("tier=back")))))),
            "web > *: none",
            "web > db,cache: all")
        .relabel("api", "tier=back", "web > *: none", "web > db,cache,api: all")
        .relabel("db", "tier=none", "web > *: none", "web > cache,api: all");
    add("a relabelled container of named ports", "tcp/5432")
        .then(
            list(policy("p", labels("app=db"), ingress(ports("{'port':'sql'}")))),
            "* > db: tcp/5432")
        .relabel("api", "app=db", "* > db,api: tcp/5432");
  }

  private void addManifests() {
    String head = "[{'apiVersion':'networking.k8s.io/v1','kind':'NetworkPolicy',";
    add("manifest: deny a namespace")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'policyTypes':['Ingress']}}]",
            "* > db,api: none");
    add("manifest: pods of the same namespace")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'ingress':[{'from':[{'podSelector':{}}]}]}}]",
            "* > db,api: none",
            "api > db: all",
            "db > api: all");
    add("manifest: pods of another namespace")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'ingress':[{'from':[{'namespaceSelector':"
                + labels("kubernetes.io/metadata.name=x")
                + "}]}]}}]",
            "* > db,api: none",
            "web,mon > db,api: all");
    add("manifest: namespace and pods of one peer must both match")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'ingress':[{'from':[{'namespaceSelector':"
                + labels("kubernetes.io/metadata.name=x")
                + ",'podSelector':"
                + labels("app=web")
                + "}]}]}}]",
            "* > db,api: none",
            "web > db,api: all");
    add("manifest: namespace or pods of two peers")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'ingress':[{'from':[{'namespaceSelector':"
                + labels("kubernetes.io/metadata.name=x")
                + "},{'podSelector':"
                + labels("app=api")
                + "}]}]}}]",
            "* > db,api: none",
            "web,mon > db,api: all",
            "api > db: all");
    add("manifest: pods of all namespaces")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'ingress':[{'from':[{'namespaceSelector':{}}]}]}}]",
            "out,far > db,api: none");
    add("manifest: egress within the namespace and to DNS")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'policyTypes':['Egress'],'egress':["
                + "{'to':[{'podSelector':{}}]},{'ports':["
                + UDP_53
                + "]}]}}]",
            "db,api > *: udp/53",
            "db > api: all",
            "api > db: all");
    add("manifest: the same name in two namespaces")
        .then(
            head
                + "'metadata':{'name':'p','namespace':'y'},"
                + "'spec':{'podSelector':{},'policyTypes':['Ingress']}},"
                + head.substring(1)
                + "'metadata':{'name':'p','namespace':'z'},"
                + "'spec':{'podSelector':{},'policyTypes':['Egress']}}]",
            "* > db,api: none",
            "cache,job > *: none");
  }
}
