package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.http.StoreClient;
import dev.smelt.store.snapshot.Collection;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.Retention;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoreJson;
import dev.smelt.store.snapshot.Verification;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * {@code smelt store}: looks at snapshots and changes where refs point. Wherever an id is expected,
 * the name of a ref does as well.
 */
@Command(
    name = "store",
    subcommands = StoreServeCommand.class,
    description = "Looks at snapshots, and changes which one is active.",
    footer = {
      "  smelt store ls my-model",
      "  smelt store rollback my-model --why \"answers got worse\" --to http://127.0.0.1:7070"
    })
final class StoreCommand implements Runnable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String MODEL = "The model's name in the store.";
  private static final String ID = "A snapshot's id, or the name of a ref.";
  private static final String WHY = "The reason, for the log.";
  private static final String WHO = System.getProperty("user.name", "operator");

  /** Forms of a checkpoint folder. */
  enum Form {
    EXPANDED,
    COMPACT,
    UNIFORM
  }

  @Spec private CommandSpec spec;

  @Mixin private StoreChoice choice = new StoreChoice();

  @Option(names = "--json", scope = ScopeType.INHERIT, description = "Print the result as JSON.")
  private boolean json;

  StoreCommand() {}

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }

  StoreChoice choice() {
    return choice;
  }

  /** Prints a result in the form that was asked for. */
  void print(JsonNode asJson, String asText) {
    if (json) {
      print(asJson);
    } else {
      print("%s", asText);
    }
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }

  private void print(JsonNode node) {
    out().println(node.toPrettyString());
    out().flush();
  }

  private void print(String format, Object... arguments) {
    out().printf(format + "%n", arguments);
    out().flush();
  }

  @Command(
      name = "ls",
      description = "Lists models, or a model's snapshots, newest first.",
      footer = {"  smelt store ls", "  smelt store ls my-model --to http://127.0.0.1:7070"})
  int list(
      @Parameters(arity = "0..1", paramLabel = "MODEL", description = MODEL) Optional<String> model)
      throws IOException {
    if (model.isEmpty()) {
      List<String> models = choice.local().models();
      if (json) {
        print(JSON.createObjectNode().set("models", JSON.valueToTree(models)));
      } else {
        models.forEach(name -> print("%s", name));
      }
      return 0;
    }
    List<JsonNode> snapshots = new ArrayList<>();
    Map<String, String> refs = new LinkedHashMap<>();
    Optional<StoreClient> remote = choice.remote();
    if (remote.isPresent()) {
      snapshots.addAll(remote.get().snapshots(model.get()));
      refs.putAll(remote.get().refs(model.get()));
    } else {
      SnapshotStore store = choice.local();
      store.snapshots(model.get()).forEach(found -> snapshots.add(0, StoreJson.manifest(found)));
      store.refs(model.get()).forEach(ref -> refs.put(ref.name(), ref.snapshot()));
    }
    if (json) {
      ObjectNode all = JSON.createObjectNode();
      ArrayNode items = all.putArray("snapshots");
      snapshots.forEach(items::add);
      all.set("refs", JSON.valueToTree(refs));
      print(all);
      return 0;
    }
    for (JsonNode snapshot : snapshots) {
      String id = snapshot.path("id").asText();
      List<String> names =
          refs.entrySet().stream()
              .filter(ref -> ref.getValue().equals(id))
              .map(Map.Entry::getKey)
              .toList();
      print(
          "%s  %,15d bytes  %-10s  %-20s  %s",
          id,
          snapshot.path("bytes").asLong(),
          snapshot.path("strategy").asText(),
          snapshot.path("trigger").asText(),
          String.join(", ", names));
    }
    return 0;
  }

  @Command(
      name = "show",
      description = "Shows a snapshot.",
      footer = {
        "  smelt store show my-model active",
        "  smelt store show my-model 20261124T101953Z-e1acb16db1c3c6a4 --json"
      })
  int show(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "ID", description = ID) String id)
      throws IOException {
    Optional<StoreClient> remote = choice.remote();
    Manifest manifest;
    if (remote.isPresent()) {
      manifest = remote.get().manifest(model, resolve(remote.get(), model, id));
    } else {
      manifest = resolve(choice.local(), model, id);
    }
    if (json) {
      print(StoreJson.manifest(manifest));
      return 0;
    }
    print("snapshot    %s", manifest.id());
    print("created     %s by %s", manifest.createdAt(), manifest.publisher());
    print("because     %s", manifest.trigger());
    print("strategy    %s", manifest.strategy());
    print("parent      %s", manifest.parent().orElse("none"));
    print("checkpoint  %s", manifest.checkpointDigest());
    print("tensors     %d, %,d bytes", manifest.tensors().size(), manifest.bytes());
    print("gate        %s", manifest.gate());
    return 0;
  }

  private static String resolve(StoreClient store, String model, String idOrRef) {
    return store.ref(model, idOrRef).orElse(idOrRef);
  }

  private static Manifest resolve(SnapshotStore store, String model, String idOrRef) {
    boolean id = idOrRef.contains("Z-");
    String snapshot = id ? idOrRef : store.ref(model, idOrRef).map(Ref::snapshot).orElse(idOrRef);
    return store.manifest(model, snapshot);
  }

  @Command(
      name = "diff",
      description = "Says what differs between two snapshots.",
      footer = {"  smelt store diff my-model previous active"})
  int diff(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "FROM", description = ID) String from,
      @Parameters(paramLabel = "TO", description = ID) String to)
      throws IOException {
    Optional<StoreClient> remote = choice.remote();
    ObjectNode diff;
    if (remote.isPresent()) {
      diff =
          remote
              .get()
              .diff(model, resolve(remote.get(), model, from), resolve(remote.get(), model, to));
    } else {
      SnapshotStore store = choice.local();
      diff =
          StoreJson.diff(
              store.diff(model, resolve(store, model, from).id(), resolve(store, model, to).id()));
    }
    if (json) {
      print(diff);
      return 0;
    }
    print(
        "tensors: %d changed, %d added, %d removed, %d the same; %,d bytes to fetch",
        diff.path("changed").size(),
        diff.path("added").size(),
        diff.path("removed").size(),
        diff.path("unchanged").asInt(),
        diff.path("bytesToFetch").asLong());
    diff.path("groups")
        .properties()
        .forEach(
            block ->
                print(
                    "%s: groups %s, experts %s",
                    block.getKey(), block.getValue(), diff.path("experts").path(block.getKey())));
    return 0;
  }

  @Command(
      name = "activate",
      description = "Makes a snapshot the active one.",
      footer = {
        "  smelt store activate my-model 20261124T101953Z-e1acb16db1c3c6a4 --why \"the better one\""
      })
  int activate(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "ID", description = ID) String id,
      @Option(names = "--why", required = true, paramLabel = "TEXT", description = WHY) String why)
      throws IOException {
    Reason reason = new Reason(WHO, why);
    Optional<StoreClient> remote = choice.remote();
    if (remote.isPresent()) {
      return report(
          remote
              .get()
              .moveRef(
                  model,
                  Ref.ACTIVE,
                  remote.get().ref(model, Ref.ACTIVE),
                  resolve(remote.get(), model, id),
                  reason));
    }
    SnapshotStore store = choice.local();
    return report(store.activate(model, resolve(store, model, id).id(), reason));
  }

  @Command(
      name = "rollback",
      description = "Makes the snapshot active that was so before, or an earlier one.",
      footer = {"  smelt store rollback my-model --why \"answers got worse\""})
  int rollback(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(
              arity = "0..1",
              paramLabel = "ID",
              description = "The snapshot or ref to go back to; default: the ref previous.")
          Optional<String> id,
      @Option(names = "--why", required = true, paramLabel = "TEXT", description = WHY) String why)
      throws IOException {
    Reason reason = new Reason(WHO, why);
    Optional<StoreClient> remote = choice.remote();
    if (remote.isPresent()) {
      Optional<String> to = id.map(named -> resolve(remote.get(), model, named));
      return report(remote.get().rollback(model, to, reason));
    }
    SnapshotStore store = choice.local();
    return report(
        store.rollback(model, id.map(named -> resolve(store, model, named).id()), reason));
  }

  @Command(
      name = "pin",
      description = "Keeps a snapshot under a name of its own.",
      footer = {"  smelt store pin my-model active release-1 --why \"what customers tested\""})
  int pin(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "ID", description = ID) String id,
      @Parameters(paramLabel = "NAME", description = "The name that keeps it.") String name,
      @Option(names = "--why", required = true, paramLabel = "TEXT", description = WHY) String why)
      throws IOException {
    SnapshotStore store = choice.local();
    return report(store.pin(model, resolve(store, model, id).id(), name, new Reason(WHO, why)));
  }

  @Command(
      name = "unpin",
      description = "Drops a name that keeps a snapshot.",
      footer = {"  smelt store unpin my-model release-1 --why \"no longer needed\""})
  int unpin(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "NAME", description = "The name that keeps it.") String name,
      @Option(names = "--why", required = true, paramLabel = "TEXT", description = WHY) String why)
      throws IOException {
    SnapshotStore store = choice.local();
    String pinned =
        store
            .ref(model, name)
            .map(Ref::snapshot)
            .orElseThrow(
                () -> new IllegalArgumentException("model " + model + " has no ref " + name));
    return report(store.removeRef(model, name, pinned, new Reason(WHO, why)));
  }

  private int report(RefUpdate update) {
    if (update instanceof RefUpdate.Moved moved) {
      LogEntry entry = moved.entry();
      if (json) {
        print(StoreJson.entry(entry));
      } else {
        print(
            "%s: %s -> %s",
            entry.ref(), entry.from().orElse("nothing"), entry.to().orElse("nothing"));
      }
      return 0;
    }
    if (update instanceof RefUpdate.Conflict conflict) {
      throw new IllegalStateException(
          "the ref was moved by somebody else meanwhile, to "
              + conflict.actual().orElse("nothing")
              + "; look at it and decide again");
    }
    RefUpdate.Unknown unknown = (RefUpdate.Unknown) update;
    throw new IllegalStateException(
        "it is not known whether the move will last: " + unknown.cause() + "; look again");
  }

  @Command(
      name = "gc",
      description =
          "Deletes blobs that no snapshot names; with --keep, first snapshots that may go.",
      footer = {"  smelt store gc", "  smelt store gc --keep 10 --older P30D"})
  int collect(
      @Option(
              names = "--grace",
              paramLabel = "DURATION",
              defaultValue = "PT1H",
              description = "Younger blobs stay; default: ${DEFAULT-VALUE}.")
          Duration grace,
      @Option(
              names = "--keep",
              paramLabel = "N",
              description = "Remove snapshots that no ref names beyond the N newest of a model.")
          Optional<Integer> keep,
      @Option(
              names = "--older",
              paramLabel = "DURATION",
              defaultValue = "P7D",
              description =
                  "With --keep, only snapshots older than this; default: ${DEFAULT-VALUE}.")
          Duration older)
      throws IOException {
    SnapshotStore store = choice.local();
    List<String> removed = new ArrayList<>();
    if (keep.isPresent()) {
      for (String model : store.models()) {
        removed.addAll(
            store.retain(
                model,
                new Retention(keep.get(), older),
                new Reason(WHO, "smelt store gc --keep " + keep.get())));
      }
    }
    Collection collection = store.collect(grace);
    if (json) {
      ObjectNode node = JSON.valueToTree(collection);
      node.set("snapshots", JSON.valueToTree(removed));
      print(node);
    } else {
      print(
          "removed %d snapshots; deleted %d blobs, %,d bytes; %d are within the grace period",
          removed.size(), collection.deleted(), collection.bytes(), collection.young());
    }
    return 0;
  }

  @Command(
      name = "verify",
      description = "Hashes everything; damaged blobs are moved to quarantine. Exit code 1 if any.",
      footer = {"  smelt store verify", "  smelt store verify --report-only --json"})
  int verify(
      @Option(names = "--report-only", description = "Leave damaged blobs where they are.")
          boolean reportOnly)
      throws IOException {
    Verification found =
        choice
            .local()
            .verify(
                reportOnly ? Verification.OnDamage.REPORT : Verification.OnDamage.QUARANTINE,
                new ProgressLine(spec.commandLine().getErr(), "hashing")::show);
    if (json) {
      print(JSON.valueToTree(found));
    } else {
      found
          .damages()
          .forEach(
              damage ->
                  print("%s %s; used by %s", damage.what(), damage.reason(), damage.snapshots()));
      print(
          "%d snapshots, %d blobs, %,d bytes: %d damaged",
          found.manifests(), found.blobs(), found.bytes(), found.damages().size());
    }
    return found.damages().isEmpty() ? 0 : 1;
  }

  @Command(
      name = "export",
      description = "Writes a snapshot as a folder that an engine loads.",
      footer = {
        "  smelt store export my-model active --checkpoint /models/my-model --format expanded -o served"
      })
  int export(
      @Parameters(paramLabel = "MODEL", description = MODEL) String model,
      @Parameters(paramLabel = "ID", description = ID) String id,
      @Option(
              names = "--checkpoint",
              required = true,
              paramLabel = "DIR",
              description = "The folder of the full model that the snapshot was made from.")
          Path checkpoint,
      @Option(
              names = "--format",
              paramLabel = "FORM",
              defaultValue = "expanded",
              description = "expanded, compact or uniform; default: ${DEFAULT-VALUE}.")
          Form form,
      @Option(
              names = {"-o", "--output"},
              required = true,
              paramLabel = "DIR",
              description = "The folder to write; must not exist.")
          Path folder)
      throws IOException {
    SnapshotStore store = choice.local();
    Manifest manifest = resolve(store, model, id);
    try (Checkpoint base = Checkpoint.open(checkpoint)) {
      switch (form) {
        case EXPANDED -> Exporter.expanded(store, manifest, base, folder);
        case COMPACT -> Exporter.compact(store, manifest, base, folder);
        case UNIFORM -> Exporter.uniform(store, manifest, base, folder);
      }
    }
    if (json) {
      print(
          JSON.createObjectNode().put("snapshot", manifest.id()).put("folder", folder.toString()));
    } else {
      print("%s: snapshot %s", folder, manifest.id());
    }
    return 0;
  }
}
