"""Checks the compose files and the Kubernetes manifests. Arguments: the top folder of the checkout.

Each line of the output is `ok NAME` or `FAILED NAME: REASON`.
"""

import pathlib
import re
import sys

import kubernetes_validate
import yaml

ROOT = pathlib.Path(sys.argv[1])
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.29"  # the first version in which ReadWriteOncePod is stable
TARGETS = re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.M)
SETTINGS = set(
    re.findall(r'"(BERTH_\w+)"', (ROOT / "crates/program-settings/src/names.rs").read_text())
)


def must(condition, reason):
    if not condition:
        raise AssertionError(reason)


def known(names):
    """Fails for a variable that neither program reads."""
    for name in names:
        must(name.removesuffix("_FILE") in SETTINGS or not name.startswith("BERTH_"), f"unknown {name}")


def check_compose(path):
    compose = yaml.safe_load(path.read_text())
    for name, service in compose["services"].items():
        for network in service.get("networks", []):
            must(network in compose["networks"], f"{name}: no network {network}")
        for secret in service.get("secrets", []):
            must(secret in compose["secrets"], f"{name}: no secret {secret}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (path.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            must(there, f"{name}: no volume {source}")
        if "build" not in service:
            continue
        must(service["build"]["target"] in TARGETS, f"{name}: no target {service['build']['target']}")
        must((path.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), name)
        must(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} is not confined")
        must("no-new-privileges:true" in service["security_opt"], f"{name} may get new privileges")
        must(service["ulimits"]["nofile"]["hard"] >= 25000, f"{name} has few open files")
        environment = service["environment"]
        known(environment)
        for variable, value in environment.items():
            if variable.endswith("_FILE"):
                must(value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}")
    made = (path.parent / "make-secrets.sh").read_text()
    for secret in compose.get("secrets", {}):
        must(f"once {secret} " in made, f"make-secrets.sh does not make {secret}")


def check_manifest(document):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    pod = document["spec"].get("template", {}).get("spec")
    if pod is None:
        return
    must(pod["enableServiceLinks"] is False, "service links set variables of the program")
    must(pod["automountServiceAccountToken"] is False, "a token of the cluster is mounted")
    must(pod["securityContext"]["runAsNonRoot"] is True, "may run as root")
    must(pod["securityContext"]["runAsUser"] == 65532, "another user than the image's")
    must(pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch", "fsGroup")
    must(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "seccomp")
    for container in pod["containers"]:
        confined = container["securityContext"]
        must(confined["readOnlyRootFilesystem"] is True, "the root can be written")
        must(confined["allowPrivilegeEscalation"] is False, "may get new privileges")
        must(confined["capabilities"]["drop"] == ["ALL"], "has privileges")
        must(container["image"].split(":")[0] in TARGETS, f"no image {container['image']}")
        known(variable["name"] for variable in container["env"])
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            for kind in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(kind, {}).get("port")
                must(port is None or port in ports, f"{probe} asks no port {port}")
        live = container["livenessProbe"]
        must(live.get("httpGet", {}).get("path") == "/livez", "liveness depends on other programs")
        must(container["readinessProbe"]["httpGet"]["path"] == "/readyz", "readiness is not asked")


def run(name, check, *arguments):
    try:
        check(*arguments)
    except Exception as error:  # the report names each failure
        print(f"FAILED {name}: {type(error).__name__} {error}".replace("\n", " "))
    else:
        print(f"ok {name}")


for name in ("laptop", "fleet"):
    run(f"compose/{name}.yaml", check_compose, DEPLOY / "compose" / f"{name}.yaml")
count = 0
for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
    for document in yaml.safe_load_all(path.read_text()):
        label = f"{path.name}: {document['kind']} {document['metadata']['name']}"
        run(label, check_manifest, document)
        count += 1
run("kubernetes: there are manifests", must, count >= 9, f"{count} manifests")
