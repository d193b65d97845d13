package dev.smelt.streams;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** What this room may not know. */
@AnalyzeClasses(packages = "dev.smelt.streams", importOptions = DoNotIncludeTests.class)
class RoomTest {

  @ArchTest
  static final ArchRule shouldKnowNothingOfOtherRooms =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "io.vertx..",
              "org.nd4j..",
              "org.bytedeco..",
              "java.nio.file..",
              "dev.smelt.store..",
              "dev.smelt.agent..",
              "dev.smelt.engine..");

  @ArchTest
  static final ArchRule shouldTouchNoFiles =
      noClasses()
          .should()
          .dependOnClassesThat()
          .haveNameMatching(
              "java\\.io\\.(File|RandomAccessFile|File.*Stream|FileReader|FileWriter)");

  @ArchTest
  static final ArchRule shouldUseKafkaStreamsOnlyInTheTopologyAndItsBenchmark =
      noClasses()
          .that()
          .resideOutsideOfPackages("..topology..", "..benchmark..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.apache.kafka.streams..");

  @ArchTest
  static final ArchRule shouldHaveNoCyclesBetweenPackages =
      slices().matching("dev.smelt.streams.(*)..").should().beFreeOfCycles();
}
