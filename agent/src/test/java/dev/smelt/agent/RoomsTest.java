package dev.smelt.agent;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Who may know whom inside the agent, and what the agent may not know. */
@AnalyzeClasses(packages = "dev.smelt.agent", importOptions = ImportOption.DoNotIncludeTests.class)
class RoomsTest {

  @ArchTest
  static final ArchRule AGENT_KNOWS_NEITHER_TESTS_NOR_OPS =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.smelt.engine..", "dev.smelt.ops..");

  @ArchTest
  static final ArchRule ONLY_COMPUTE_CALLS_NATIVE_CODE =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.smelt.agent.compute..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.bytedeco..", "org.nd4j..");

  @ArchTest
  static final ArchRule THE_MATHEMATICS_KNOWS_NO_NETWORK =
      noClasses()
          .that()
          .resideInAnyPackage(
              "dev.smelt.agent.compute..",
              "dev.smelt.agent.plan..",
              "dev.smelt.agent.merge..",
              "dev.smelt.agent.compress..",
              "dev.smelt.agent.inference..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.vertx..", "org.apache.kafka..");

  @ArchTest
  static final ArchRule NOBODY_REACHES_INTO_THE_COMMAND_LINE =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.smelt.agent.cli..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.smelt.agent.cli..");
}
