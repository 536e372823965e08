"""What the dashboards are made of: queries, panels, colours, variables, links. It knows no metric by name."""

from grafana_foundation_sdk.builders import (bargauge, common, dashboard, prometheus, stat, table, timeseries)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

# Okabe and Ito's palette, which people with any colour blindness can tell apart; severities also differ in brightness.
BLUE, ORANGE, SKY, RED, GREEN, PURPLE, YELLOW, GREY = (
    "#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#F0E442", "#999999")
COLOURS = {
    "critical": RED, "high": ORANGE, "medium": YELLOW, "low": SKY, "info": GREY,
    "allow": BLUE, "deny": RED, "undefined": GREY, "error": ORANGE,
    "verified": BLUE, "mismatch": RED, "unverifiable": GREY, "success": BLUE, "failed": RED, "failure": RED,
    "compliant": BLUE, "not_compliant": RED, "unknown": GREY, "unconfirmed": ORANGE,
    "delivered": BLUE, "retry": ORANGE, "dead": RED, "opened": RED, "updated": ORANGE, "suppressed": GREY,
    "p50": SKY, "p99": ORANGE, "max": RED, "events": BLUE, "conclusions": ORANGE,
    "windows": BLUE, "alerting": ORANGE, "denied_at_pdp": BLUE, "published": SKY, "requested": PURPLE,
    "proposed": GREY, "resumed": BLUE, "written": BLUE, "restored": SKY, "rejected": ORANGE,
}
# Labels whose values have colours of their own.
COLOURED = ("severity", "outcome", "step", "topic", "state", "degree")
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Where an operator keeps keywatch's docs/; a hidden variable of each dashboard, to be set there.
DOCS = "https://keywatch.example/docs"
# Where keywatch's own page is for whoever looks at the dashboard; a hidden variable too. As docker-compose.yml has it.
PAGE = "http://127.0.0.1:8040/page"


def new(metric, labels="", by=(), over="$__range"):
    """How many came in the time range, whole: a series that is new in it counts from nothing, which increase() misses."""
    series = f"{metric}{{{labels}}}" if labels else metric
    grouped = f"sum by ({', '.join(by)})" if by else "sum"
    return f"{grouped} (({series} - {series} offset {over} >= 0) or {series})"


def rate(metric, labels="", by=()):
    """How many a second."""
    series = f"{metric}{{{labels}}}" if labels else metric
    return f"sum by ({', '.join(by)}) (rate({series}[$__rate_interval]))"


def quantile(share, metric, labels="", by=(), over="$__rate_interval"):
    """A quantile of a histogram."""
    series = f"{metric}_bucket{{{labels}}}" if labels else f"{metric}_bucket"
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *by))}) (rate({series}[{over}])))"


def _target(expr, legend, instant, exemplars=False):
    query = prometheus.Dataquery().expr(expr).legend_format(legend).exemplar(exemplars).datasource(SOURCE)
    return query.instant() if instant else query.range()


def _coloured(panel, legends):
    """Series of one label may have any of the known names; those with a name of their own have that."""
    names = COLOURS if any(legend == "{{" + label + "}}" for legend in legends for label in COLOURED) else {}
    for name, colour in names.items():
        panel.override_by_name(name, [models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})])
    return panel


def _steps(steps):
    first = [models.Threshold(value=None, color=steps[0][1])]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(
        first + [models.Threshold(value=float(value), color=colour) for value, colour in steps[1:]])


# From nothing to something: what should be zero, and what may be anything.
ALARM = [(None, BLUE), (1, RED)]
WARN = [(None, BLUE), (1, ORANGE)]
PLAIN = [(None, BLUE)]


def number(title, why, expr, unit="short", steps=PLAIN, legend=" ", width=4, height=4, none="0", decimals=None, links=()):
    """One number, or one a series. `links` are pairs of a title and an address."""
    panel = (stat.Panel().title(title).description(why).unit(unit).thresholds(_steps(steps)).no_value(none)
             .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
             .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
             .graph_mode(common_models.BigValueGraphMode.NONE).datasource(SOURCE)
             .with_target(_target(expr, legend, instant=True)).span(width).height(height))
    if links:
        panel.data_links([_data_link(title, url) for title, url in links])
    return panel.decimals(decimals) if decimals is not None else panel


def lines(title, why, targets, unit="short", width=12, height=8, exemplars=False, stack=False, log=False):
    """Series over time. `targets` are pairs of an expression and its legend."""
    panel = (timeseries.Panel().title(title).description(why).unit(unit).min(0).datasource(SOURCE)
             .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.CONTINUOUS_BLUES))
             .line_width(2).fill_opacity(60 if stack else 0).show_points(common_models.VisibilityMode.AUTO)
             .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI)
                      .sort(common_models.SortOrder.DESCENDING))
             .legend(common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST)
                     .placement(common_models.LegendPlacement.BOTTOM).show_legend(True))
             .span(width).height(height))
    if stack:
        panel.draw_style(common_models.GraphDrawStyle.BARS)
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if log:
        panel.scale_distribution(common.ScaleDistributionConfig().type(common_models.ScaleDistribution.LOG).log(10))
    for letter, (expr, legend) in zip("ABCDEFGH", targets):
        panel.with_target(_target(expr, legend, instant=False, exemplars=exemplars).ref_id(letter))
    return _coloured(panel, [legend for _, legend in targets])


def bars(title, why, expr, legend, unit="short", width=8, height=8, steps=PLAIN):
    """One bar a series, of one colour: for names that nobody can have chosen colours for. A bar of a rule leads to it."""
    panel = (bargauge.Panel().title(title).description(why).unit(unit).min(0).thresholds(_steps(steps)).no_value("none")
            .orientation(common_models.VizOrientation.HORIZONTAL).datasource(SOURCE)
            .display_mode(common_models.BarGaugeDisplayMode.BASIC)
            .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(_target(expr, legend, instant=True)).span(width).height(height))
    return panel.data_links(_of_rule("__field.labels.rule")) if "{{rule}}" in legend else panel


def rows(title, why, expr, unit="short", width=12, height=8, by_rule=True):
    """A table: one row a series, its labels as columns, the largest value first. A row of a rule leads to its incidents."""
    query = _target(f"sort_desc({expr})", "", instant=True).format(prometheus_models.PromQueryFormat.TABLE)
    return (table.Panel().title(title).description(why).unit(unit).datasource(SOURCE).no_value("none").with_target(query)
             .with_transformation(models.DataTransformerConfig(
                 id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": {"Value": "count"}}))
             .data_links((_of_rule("__data.fields.rule") if by_rule else []) + [_data_link("What to do", "${docs}/dashboards.md")])
             .span(width).height(height))


def _of_rule(rule):
    """From what is counted by rule to its incidents and its page; `rule` is Grafana's name of the label."""
    return [_data_link("Its incidents", f"${{page}}?rule=${{{rule}:percentencode}}"),
            _data_link("The rule: meaning and runbook", f"${{page}}/rules/${{{rule}}}")]


def _data_link(title, url):
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).icon("doc").target_blank(True)


def _variable(name, label, query):
    return (dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE).multi(True).include_all(True)
            .all_value(".*").refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
            .current(models.VariableOption(selected=True, text="All", value="$__all")))


def _link(title, **fields):
    link = dashboard.DashboardLink(title)
    if "tags" in fields:
        link.include_vars(True).keep_time(True)
        return link.type(models.DashboardLinkType.DASHBOARDS).tags(fields["tags"]).as_dropdown(False)
    return link.type(models.DashboardLinkType.LINK).url(fields["url"]).icon("doc").target_blank(True)


def board(uid, title, why, critical, panels, wallet=False, hours=6):
    """A dashboard with its variables, its links to the others, and a mark where `critical` is above zero."""
    built = (dashboard.Dashboard(title).uid(f"keywatch-{uid}").description(why).tags(["keywatch"]).readonly()
             .tooltip(models.DashboardCursorSync.CROSSHAIR).refresh("10s").time(f"now-{hours}h", "now").timezone("utc")
             .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
             .with_variable(dashboard.ConstantVariable("docs").value(DOCS))
             .with_variable(dashboard.ConstantVariable("page").value(PAGE))
             .with_variable(_variable("system", "System", "label_values(keywatch_source_last_timestamp_seconds, system)"))
             .link(_link("keywatch", tags=["keywatch"])).link(_link("Incidents", url="${page}"))
             .link(_link("What to do", url="${docs}/dashboards.md"))
             .annotation(dashboard.AnnotationQuery().name("critical findings").enable(True).icon_color(RED)
                         .datasource(SOURCE).expr(critical)))
    if wallet:
        built.with_variable(_variable(
            "wallet", "Wallet", 'label_values(keywatch_events_total{system=~"$system"}, wallet)'))
    for panel in panels:
        built.with_panel(panel)
    return built


