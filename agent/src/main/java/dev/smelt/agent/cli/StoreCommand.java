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
    description = "Looks at snapshots, and changes which one is active.",
    mixinStandardHelpOptions = true)
final class StoreCommand implements Runnable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String WHO = System.getProperty("user.name", "operator");

  /** Forms of a checkpoint folder. */
  enum Form {
    EXPANDED,
    COMPACT,
    UNIFORM
  }

  @Spec private CommandSpec spec;

  @Mixin private StoreChoice choice = new StoreChoice();

  @Option(names = "--json", scope = ScopeType.INHERIT, description = "Print JSON.")
  private boolean json;

  StoreCommand() {}

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
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

  @Command(name = "ls", description = "Lists models, or a model's snapshots, newest first.")
  int list(@Parameters(arity = "0..1", paramLabel = "MODEL") Optional<String> model)
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

  @Command(name = "show", description = "Shows a snapshot.")
  int show(@Parameters(paramLabel = "MODEL") String model, @Parameters(paramLabel = "ID") String id)
      throws IOException {
    Optional<StoreClient> remote = choice.remote();
    Manifest manifest;
    if (remote.isPresent()) {
      String snapshot = remote.get().ref(model, id).orElse(id);
      manifest = remote.get().manifest(model, snapshot);
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

  private static Manifest resolve(SnapshotStore store, String model, String idOrRef) {
    boolean id = idOrRef.contains("Z-");
    String snapshot = id ? idOrRef : store.ref(model, idOrRef).map(Ref::snapshot).orElse(idOrRef);
    return store.manifest(model, snapshot);
  }

  @Command(name = "diff", description = "Says what differs between two snapshots.")
  int diff(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(paramLabel = "FROM") String from,
      @Parameters(paramLabel = "TO") String to)
      throws IOException {
    Optional<StoreClient> remote = choice.remote();
    ObjectNode diff;
    if (remote.isPresent()) {
      diff =
          remote
              .get()
              .diff(
                  model,
                  remote.get().ref(model, from).orElse(from),
                  remote.get().ref(model, to).orElse(to));
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

  @Command(name = "activate", description = "Makes a snapshot the active one.")
  int activate(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(paramLabel = "ID") String id,
      @Option(names = "--why", required = true, paramLabel = "TEXT") String why)
      throws IOException {
    Reason reason = new Reason(WHO, why);
    Optional<StoreClient> remote = choice.remote();
    if (remote.isPresent()) {
      return report(
          remote.get().moveRef(model, Ref.ACTIVE, remote.get().ref(model, Ref.ACTIVE), id, reason));
    }
    SnapshotStore store = choice.local();
    return report(store.activate(model, resolve(store, model, id).id(), reason));
  }

  @Command(
      name = "rollback",
      description = "Makes the snapshot active that was so before, or an earlier one.")
  int rollback(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(arity = "0..1", paramLabel = "ID") Optional<String> id,
      @Option(names = "--why", required = true, paramLabel = "TEXT") String why)
      throws IOException {
    Reason reason = new Reason(WHO, why);
    Optional<StoreClient> remote = choice.remote();
    return report(
        remote.isPresent()
            ? remote.get().rollback(model, id, reason)
            : choice.local().rollback(model, id, reason));
  }

  @Command(name = "pin", description = "Keeps a snapshot under a name of its own.")
  int pin(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(paramLabel = "ID") String id,
      @Parameters(paramLabel = "NAME") String name,
      @Option(names = "--why", required = true, paramLabel = "TEXT") String why)
      throws IOException {
    SnapshotStore store = choice.local();
    return report(store.pin(model, resolve(store, model, id).id(), name, new Reason(WHO, why)));
  }

  @Command(name = "unpin", description = "Drops a name that keeps a snapshot.")
  int unpin(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(paramLabel = "NAME") String name,
      @Option(names = "--why", required = true, paramLabel = "TEXT") String why)
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
          "Deletes blobs that no snapshot names; with --keep, first snapshots that may go.")
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
                  "With --keep, only snapshots older than this; default: " + "${DEFAULT-VALUE}.")
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
      description = "Hashes everything; damaged blobs are moved to quarantine. Exit code 1 if any.")
  int verify(
      @Option(names = "--report-only", description = "Leave damaged blobs where they are.")
          boolean reportOnly)
      throws IOException {
    Verification found =
        choice
            .local()
            .verify(reportOnly ? Verification.OnDamage.REPORT : Verification.OnDamage.QUARANTINE);
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

  @Command(name = "export", description = "Writes a snapshot as a folder that an engine loads.")
  int export(
      @Parameters(paramLabel = "MODEL") String model,
      @Parameters(paramLabel = "ID") String id,
      @Option(names = "--checkpoint", required = true, paramLabel = "DIR") Path checkpoint,
      @Option(
              names = "--format",
              defaultValue = "EXPANDED",
              description = "${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}.")
          Form form,
      @Option(names = "-o", required = true, paramLabel = "DIR") Path folder)
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
